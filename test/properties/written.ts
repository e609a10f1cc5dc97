// Values as text: the same text for equal values, whatever the order of their fields.
export function written(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) => {
    if (isJsonBuffer(part)) return Buffer.from(part.data).toString('hex')
    if (part instanceof Uint8Array) return Buffer.from(part).toString('hex')
    if (part === null || typeof part !== 'object' || Array.isArray(part)) return part
    return Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
  })
}

/** A Buffer turns itself into this before the writer sees it. */
function isJsonBuffer(part: unknown): part is { readonly data: number[] } {
  return typeof part === 'object' && part !== null && 'type' in part && part.type === 'Buffer'
}
