// What is stored about suspensions, waitpoints and signals, as commands and checkers read it.
import { readWaitpoint, type Waitpoint } from '../../src/persistence/waitpoint-record.ts'
import type { Dump } from '../support/canonical.ts'

export type { Waitpoint }

type Hash = ReadonlyMap<string, string | Uint8Array>

/** The latest suspension of an execution. */
export interface Suspension {
  readonly id: string
  /** Its id and the lease that it gave back: callers may use an id again. */
  readonly episode: string
  /** Its fields as they are stored. */
  readonly f: ReadonlyMap<string, string>
  /** The waitpoints that it is bound to. */
  readonly ids: readonly string[]
  /** What signals contributed to its condition, with the position of each signal. */
  readonly tokens: ReadonlyMap<string, number>
  readonly isOpen: boolean
}

/** A stored signal, but for its payload. */
export interface Signal {
  readonly position: number
  readonly id: string
  readonly waitpoint: string
  readonly name: string
  readonly category: string
  readonly source: string
  readonly effect: string
  readonly digest: string
  readonly identity: string
  readonly correlation: string
  readonly key: string
  /** The whole record but for its effect, which the activation of its waitpoint may change. */
  readonly rest: string
}

const empty: Hash = new Map()

/** Live leases and the executions that are under them. */
export function leasesOf(dump: Dump): ReadonlyMap<string, string> {
  const live = new Map<string, string>()
  for (const key of dump.keys()) {
    const claim = /^leases:(.*)$/.exec(key)?.[1]
    if (claim === undefined) continue
    for (const [number, id] of hashOf(dump, key)) live.set(`${claim}.${number}`, String(id))
  }
  return live
}

/** The fields under a key; none when there is no such key. */
export function hashOf(dump: Dump, key: string): Hash {
  const stored = dump.get(key)
  return stored?.type === 'hash' ? new Map(stored.value) : empty
}

/** Remembers what was read of each dump: checkers ask again and again. */
function remembered<Value>(read: (dump: Dump, id: string) => Value) {
  const known = new WeakMap<Dump, Map<string, Value>>()
  return (dump: Dump, id: string): Value => {
    const values = known.get(dump) ?? new Map<string, Value>()
    known.set(dump, values)
    if (!values.has(id)) values.set(id, read(dump, id))
    return values.get(id) as Value
  }
}

/** The latest suspension, open or closed; undefined when there never was one. */
export const suspensionOf = remembered((dump, of): Suspension | undefined => {
  const hash = hashOf(dump, `wait:${of}`)
  if (hash.size === 0) return undefined
  const f = new Map<string, string>()
  const tokens = new Map<string, number>()
  for (const [name, value] of hash) {
    if (name.startsWith('+')) tokens.set(name.slice(1), Number(value))
    else f.set(name, String(value))
  }
  const ids = (f.get('points') ?? '').split(',')
  const id = f.get('id') ?? ''
  const episode = `${id} ${f.get('epoch')}`
  return { id, episode, f, ids, tokens, isOpen: !f.has('closed_at') }
})

export const waitpointsOf = remembered((dump, id): readonly Waitpoint[] =>
  [...hashOf(dump, `points:${id}`)].map(([name, text]) => readWaitpoint(name, String(text))),
)

/** Signals in the order of their acceptance, as far as their positions are there. */
export const signalsOf = remembered((dump, id): readonly Signal[] => {
  const signals: Signal[] = []
  for (const [name, record] of hashOf(dump, `signals:${id}`)) {
    if (/^\d+$/.test(name)) signals.push(readSignal(Number(name), String(record)))
  }
  return signals.sort((a, b) => a.position - b.position)
})

/** Ten words, then three texts that carry their length in bytes. */
function readSignal(position: number, record: string): Signal {
  const words = record.split(' ', 10)
  const [id, waitpoint, name, category, source, , , , effect, digest] = words as string[]
  const texts: string[] = []
  let left = Buffer.from(record.slice(words.join(' ').length + 1))
  while (texts.length < 3) {
    const mark = left.indexOf(':')
    const end = mark + 1 + Number(left.subarray(0, mark).toString())
    texts.push(left.subarray(mark + 1, end).toString())
    left = left.subarray(end)
  }
  const [identity, correlation, key] = texts
  const rest = [...words.slice(0, 8), ...words.slice(9), ...texts].join(' ')
  const read = { position, id, waitpoint, name, category, source, effect, digest }
  return { ...read, identity, correlation, key, rest } as Signal
}

/** The key that signs now; undefined while there is none. */
export function currentKid(dump: Dump): string | undefined {
  const kid = hashOf(dump, 'keyring').get('current')
  return kid === undefined ? undefined : String(kid)
}

/** Times at which waitpoints expire and signing keys stop to count. */
export function waitingTimes(dump: Dump, ids: Iterable<string>): number[] {
  const times = [...ids].flatMap((id) =>
    waitpointsOf(dump, id).flatMap(({ state, expires_at: atMs }) =>
      state === 'pending' && atMs !== undefined ? [atMs] : [],
    ),
  )
  for (const [name, value] of hashOf(dump, 'keyring')) {
    if (name.startsWith('x')) times.push(Number(value))
  }
  return times
}
