// How a waitpoint is stored: words in one order, which lua/lib/waitpoints.lua writes too.

export interface Waitpoint {
  readonly id: string
  readonly key: string
  readonly kid: string
  readonly attempt: number
  /** Which run of the execution it belongs to: replays begin a new one. */
  readonly run: number
  readonly scope: string
  readonly state: string
  readonly created_at: number
  readonly expires_at: number | undefined
  readonly suspension: string | undefined
  readonly closed_at: number | undefined
  readonly reason: string | undefined
  readonly last_at: number | undefined
  /** How many signals came; positions of those kept for the suspension, of those that counted. */
  readonly count: number
  readonly buffered: readonly number[]
  readonly matched: readonly number[]
}

/** How many words a stored waitpoint has. */
export const waitpointWords = 15

const absent = ','

const number = (word: string | undefined) =>
  word === undefined || word === absent ? undefined : Number(word)

const word = (text: string | undefined) => (text === absent ? undefined : text)

const positions = (text: string | undefined) =>
  text === undefined || text === absent ? [] : text.split('.').map(Number)

export function readWaitpoint(id: string, text: string): Waitpoint {
  const words = text.split(' ')
  return {
    id,
    key: words[0] as string,
    kid: words[1] as string,
    attempt: Number(words[2]),
    run: Number(words[3]),
    scope: words[4] as string,
    state: words[5] as string,
    created_at: Number(words[6]),
    expires_at: number(words[7]),
    suspension: word(words[8]),
    closed_at: number(words[9]),
    reason: word(words[10]),
    last_at: number(words[11]),
    count: Number(words[12]),
    buffered: positions(words[13]),
    matched: positions(words[14]),
  }
}

export function writeWaitpoint(point: Waitpoint): string {
  const words = [
    point.key,
    point.kid,
    point.attempt,
    point.run,
    point.scope,
    point.state,
    point.created_at,
    point.expires_at,
    point.suspension,
    point.closed_at,
    point.reason,
    point.last_at,
    point.count,
    point.buffered.join('.') || undefined,
    point.matched.join('.') || undefined,
  ]
  return words.map((value) => value ?? absent).join(' ')
}
