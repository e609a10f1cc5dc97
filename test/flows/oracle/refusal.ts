// A call that the oracle refuses: it changes nothing.

export class Refusal extends Error {
  readonly code: string

  constructor(code: string) {
    super(code)
    this.code = code
  }
}
