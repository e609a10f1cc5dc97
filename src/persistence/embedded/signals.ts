// The accepted signals of an execution, in order; the twin of lua/lib/signals.lua.
import { invariant } from '../../errors.ts'
import { bytesMax, signalPolicyDefaults } from '../../limits.ts'
import type { SignalRow } from '../generated/operations.ts'
import type { CallContext } from './call-context.ts'
import type { Execution, StoredExecution } from './record.ts'

export interface Signal {
  readonly position: number
  readonly id: string
  readonly waitpoint: string
  readonly name: string
  readonly category: string
  readonly source: string
  readonly encoding: string
  readonly accepted_at: number
  readonly created_at: number | undefined
  readonly effect: string
  readonly digest: string
  readonly identity: string
  readonly correlation: string
  readonly key: string
}

export type SignalPolicy = Record<keyof typeof signalPolicyDefaults, number>

const absent = ','

const sized = (text: string) => `${Buffer.byteLength(text)}:${text}`

// Words may hold what JavaScript takes for white space and the engine does not.
const pattern = /^(?:[^ ]+ ){10}(?=\d)/

/** Texts that carry their length in bytes. */
function readTexts(bytes: Buffer): string[] {
  const texts: string[] = []
  let from = 0
  while (from < bytes.length) {
    const start = bytes.indexOf(':', from) + 1
    const end = start + Number(bytes.subarray(from, start - 1).toString())
    texts.push(bytes.subarray(start, end).toString())
    from = end
  }
  return texts
}

function readSignal(position: number, record: string): Signal {
  const [head] = pattern.exec(record) ?? []
  invariant(head !== undefined, `signal ${position} cannot be read`)
  const [id, waitpoint, name, category, source, encoding, accepted, created, effect, digest] =
    head.split(' ')
  const texts = readTexts(Buffer.from(record.slice(head.length)))
  return {
    position,
    id: id as string,
    waitpoint: waitpoint as string,
    name: name as string,
    category: category as string,
    source: source as string,
    encoding: encoding as string,
    accepted_at: Number(accepted),
    created_at: created === absent ? undefined : Number(created),
    effect: effect as string,
    digest: digest as string,
    identity: texts[0] ?? '',
    correlation: texts[1] ?? '',
    key: texts[2] ?? '',
  }
}

function writeSignal(signal: Signal): string {
  return [
    signal.id,
    signal.waitpoint,
    signal.name,
    signal.category,
    signal.source,
    signal.encoding,
    signal.accepted_at,
    signal.created_at ?? absent,
    signal.effect,
    signal.digest,
    sized(signal.identity) + sized(signal.correlation) + sized(signal.key),
  ].join(' ')
}

function textField({ signals }: StoredExecution, name: string): string | undefined {
  const value = signals?.get(name)
  return value === undefined ? undefined : String(value)
}

export function loadSignal({ stored }: Execution, position: number): Signal {
  const record = textField(stored, String(position))
  invariant(record !== undefined, `signal ${position} is missing`)
  return readSignal(position, record)
}

/** The signal that was accepted under this id, or under this key at this waitpoint. */
export function findSignal(
  x: Execution,
  id: string,
  waitpoint: string,
  key: string | undefined,
): { readonly signal: Signal; readonly byKey: boolean } | undefined {
  const keyed = key === undefined ? undefined : textField(x.stored, `k${waitpoint} ${key}`)
  const position = keyed ?? textField(x.stored, `i${id}`)
  if (position === undefined) return undefined
  return { signal: loadSignal(x, Number(position)), byKey: keyed !== undefined }
}

/** How many signals the execution ever accepted. */
export function countSignals(stored: StoredExecution): number {
  return Number(textField(stored, 'count') ?? 0)
}

/** Stores what is known of a signal that was stored before. */
export function saveSignal({ keyspace }: CallContext, x: Execution, signal: Signal): void {
  keyspace.storeField(x.stored, 'signals', String(signal.position), writeSignal(signal))
}

/** Stores a signal at the next position, with what finds it again. */
export function appendSignal(
  { keyspace }: CallContext,
  { stored }: Execution,
  signal: Signal,
  payload: Uint8Array | undefined,
): void {
  const position = String(signal.position)
  const store = (name: string, value: string | Uint8Array) =>
    keyspace.storeField(stored, 'signals', name, value)
  store('count', position)
  store(position, writeSignal(signal))
  store(`i${signal.id}`, position)
  if (signal.key !== '') store(`k${signal.waitpoint} ${signal.key}`, position)
  // A copy: what a sender does to its bytes later must not reach the store.
  if (payload !== undefined) store(`p${position}`, Buffer.from(payload))
}

const senderField = ({ source, identity }: Signal) =>
  `r${Buffer.byteLength(source)}:${source}${identity}`

/** How often a sender sent in its current window, and when that began. */
export function sentBy(
  { nowMs }: CallContext,
  x: Execution,
  signal: Signal,
  windowMs: number,
): { readonly sent: number; readonly beganMs: number } {
  const [began, sent] = (textField(x.stored, senderField(signal)) ?? '').split(' ')
  const beganMs = began === '' ? undefined : Number(began)
  if (beganMs === undefined || nowMs < beganMs || nowMs >= beganMs + windowMs) {
    return { sent: 0, beganMs: nowMs }
  }
  return { sent: Number(sent), beganMs }
}

export function noteSent(
  { keyspace }: CallContext,
  { stored }: Execution,
  signal: Signal,
  sent: number,
  beganMs: number,
): void {
  keyspace.storeField(stored, 'signals', senderField(signal), `${beganMs} ${sent}`)
}

/** What operators allow senders. */
export function signalPolicy({ keyspace }: CallContext): SignalPolicy {
  const entries = Object.entries(signalPolicyDefaults).map(([name, value]) => [
    name,
    Number(keyspace.config.get(name) ?? value),
  ])
  return Object.fromEntries(entries) as SignalPolicy
}

/**
 * The signals at these positions. Once a page is full of payloads the others are left out, for the
 * reader to ask for; or the rows end there.
 */
export function signalRows(
  stored: StoredExecution,
  positions: readonly number[],
  ends = false,
): SignalRow[] {
  const rows: SignalRow[] = []
  let bytes = 0
  for (const position of positions) {
    const isFull = bytes >= bytesMax.page
    if (isFull && ends) break
    const payload = stored.signals?.get(`p${position}`)
    const given = payload instanceof Uint8Array && !isFull ? Buffer.from(payload) : undefined
    bytes += given?.byteLength ?? 0
    const leftOut = payload !== undefined && isFull
    rows.push({ ...signalAt(stored, position), payload: given, left_out: leftOut })
  }
  return rows
}

function signalAt(stored: StoredExecution, position: number) {
  const record = textField(stored, String(position))
  invariant(record !== undefined, `signal ${position} is missing`)
  const { digest: _, ...signal } = readSignal(position, record)
  return signal
}
