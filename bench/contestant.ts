// What every contestant can do, so that one round treats them alike.

/** The work of one contestant under one fresh name on an empty server. */
export interface Session {
  submit(payload: Payload): Promise<unknown>
  submitMany(payloads: readonly Payload[]): Promise<unknown>
  /** Processes work that waits already; returns how long that took, in milliseconds. */
  process(count: number): Promise<number>
  /** Throws unless exactly `count` pieces of work wait. */
  verifyWaiting(count: number): Promise<void>
  /** Throws unless exactly `count` pieces of work have completed and nothing else is left. */
  verifyCompleted(count: number): Promise<void>
  close(): Promise<void>
}

export interface Contestant {
  readonly title: string
  open(url: string, name: string): Promise<Session>
}

/** The same work for everybody, in the shapes that the contestants take. */
export interface Payload {
  readonly json: { readonly body: string }
  /** The JSON as bytes, so that every contestant stores as many. */
  readonly bytes: Buffer
}

/** What every piece of work returns. */
export const result = { ok: true } as const
export const resultBytes = Buffer.from(JSON.stringify(result))

const letters = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_'

/** Payloads whose JSON has `size` bytes each, from a fixed seed. */
export function makePayloads(count: number, size: number): readonly Payload[] {
  let state = 0x2545f491
  const letter = () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return letters[state & 63]
  }
  const frame = JSON.stringify({ body: '' }).length
  return Array.from({ length: count }, () => {
    const json = { body: Array.from({ length: size - frame }, letter).join('') }
    return { json, bytes: Buffer.from(JSON.stringify(json)) }
  })
}

/** Stops the bench when the work that a figure stands for did not happen. */
export function expectCount(title: string, what: string, found: number, wanted: number): void {
  if (found !== wanted) throw new Error(`${title}: ${found} ${what}, not ${wanted}`)
}
