// Types of the two SPDX libraries that ship none: only what the demo calls.

declare module 'spdx-expression-parse' {
  interface LicenceLeaf {
    readonly license: string
    readonly plus?: true
    readonly exception?: string
  }
  interface LicencePair {
    readonly left: LicenceNode
    readonly conjunction: 'and' | 'or'
    readonly right: LicenceNode
  }
  type LicenceNode = LicenceLeaf | LicencePair
  const parse: (expression: string) => LicenceNode
  export default parse
  export type { LicenceLeaf, LicenceNode, LicencePair }
}

declare module 'spdx-correct' {
  const correct: (text: string, options?: { upgrade?: boolean }) => string | null
  export default correct
}
