// The whole keyspace in one canonical form, to be compared with what Valkey stores.
import { fieldTexts } from './execution-fields.ts'
import type { FrameList } from './frame-list.ts'
import type { Hashes } from './hashes.ts'
import type { Keyspace } from './keyspace.ts'
import { fieldKinds } from './record.ts'
import type { SortedSet } from './sorted-set.ts'
import { stateText, summaryBytes } from './streams.ts'

/** A field of a hash; bytes that are no text stay bytes. */
export type HashEntry = readonly [string, string | Uint8Array]

/** What stands under one key. Bytes are written in hexadecimal, scores as Valkey prints them. */
/**
 * What stands under one key. Bytes are written in hexadecimal, or as they are inside of lists;
 * scores as Valkey prints them.
 */
export type DumpedValue =
  | { readonly type: 'hash'; readonly value: readonly HashEntry[] }
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'zset'; readonly value: readonly (readonly [string, string])[] }
  | { readonly type: 'set'; readonly value: readonly string[] }
  | { readonly type: 'list'; readonly value: readonly (string | Uint8Array)[] }

type Put = (key: string, value: DumpedValue) => void

/** Key → value, in the order of the keys; an empty container does not exist. */
export function dumpKeyspace(keyspace: Keyspace): Map<string, DumpedValue> {
  const found: [string, DumpedValue][] = []
  const put: Put = (key, value) => {
    if (value.type === 'string' || value.value.length > 0) found.push([key, value])
  }
  putExecutions(keyspace, put)
  putStreams(keyspace, put)
  putIndexes(keyspace, put)
  putFeed(keyspace, put)
  putFlows(keyspace, put)
  putLimits(keyspace, put)
  putHash(put, 'lanes', keyspace.lanes.entries())
  putHash(put, 'config', keyspace.config.entries())
  putHash(put, 'keyring', keyspace.keyring.entries())
  for (const [claim, held] of leasesByClaim(keyspace)) putHash(put, `leases:${claim}`, held)
  putHash(put, 'sleepers', keyspace.sleepers.entries())
  putHashes(put, 'budget:', keyspace.budgets)
  putHashes(put, 'ledger0:', keyspace.ledgers[0])
  putHashes(put, 'ledger1:', keyspace.ledgers[1])
  putHashes(put, 'holds:', keyspace.holds)
  putHashes(put, 'usage:', keyspace.usage)
  putHashes(put, 'told:', keyspace.told)
  putHash(put, 'exhausted', keyspace.exhausted.entries())
  const admitting = [...keyspace.admitting.entries()].map(([budget]) => budget)
  put('admitting', { type: 'set', value: admitting.sort() })
  for (const [lane, required] of keyspace.routes.entries()) {
    put(`routes:${lane}`, { type: 'set', value: [...required].sort() })
  }
  return new Map(found.sort(([a], [b]) => order(a, b)))
}

function putExecutions(keyspace: Keyspace, put: Put): void {
  for (const [id, stored] of keyspace.executions) {
    put(`x:${id}`, { type: 'hash', value: fieldTexts(stored.fields) })
    putBytes(put, `in:${id}`, stored.input)
    putBytes(put, `out:${id}`, stored.ending)
    putBytes(put, `note:${id}`, stored.note)
    putBytes(put, `tags:${id}`, stored.tags)
    putBytes(put, `tagged:${id}`, stored.tagged)
    put(`attempts:${id}`, { type: 'list', value: stored.attempts ?? [] })
    put(`up:${id}`, { type: 'list', value: stored.up ?? [] })
    put(`down:${id}`, { type: 'list', value: stored.down ?? [] })
    for (const kind of fieldKinds) {
      const entries = [...(stored[kind] ?? [])].sort(([a], [b]) => byBytes(a, b))
      put(`${kind}:${id}`, { type: 'hash', value: entries })
    }
  }
  for (const [digest, { id, fingerprint }] of keyspace.keyed.entries()) {
    putBytes(put, `key:${digest}`, `${id} ${fingerprint}`)
  }
}

function putStreams(keyspace: Keyspace, put: Put): void {
  const states = new Map<string, [string, string][]>()
  for (const [id, attempt, stream] of keyspace.streams.entries()) {
    const known = states.get(id) ?? []
    states.set(id, known)
    known.push([String(attempt), stateText(stream)])
    putFrames(put, `frames:${id}:${attempt}`, stream.durable)
    putFrames(put, `live:${id}:${attempt}`, stream.live)
    const { summary } = stream
    putBytes(put, `summary:${id}:${attempt}`, summary && summaryBytes(summary))
  }
  for (const [id, entries] of states) putHash(put, `streams:${id}`, entries)
}

function putFrames(put: Put, key: string, frames: FrameList): void {
  put(key, { type: 'list', value: frames.all().map(({ packed }) => packed) })
}

function putIndexes(keyspace: Keyspace, put: Put): void {
  for (const [name, set] of Object.entries(keyspace.indexes)) putSortedSet(put, name, set)
  for (const [name, sets] of Object.entries(keyspace.routed)) {
    for (const [route, set] of sets) putSortedSet(put, `${name}:${route}`, set)
  }
  for (const [digest, set] of keyspace.tagged) putSortedSet(put, `tag:${digest}`, set)
  for (const [route, ring] of keyspace.turns.rings) putSortedSet(put, `turns:ready:${route}`, ring)
  putSortedSet(put, 'executions', keyspace.listing)
  putSortedSet(put, 'timers', keyspace.timers)
  putSortedSet(put, 'budgets', keyspace.budgetIds)
  putSortedSet(put, 'budget_times', keyspace.budgetTimes)
  putSortedSet(put, 'unsettled', keyspace.unsettled)
  putSortedSet(put, 'untold', keyspace.untold)
  for (const [budget, set] of keyspace.waiters) putSortedSet(put, `budget_waiters:${budget}`, set)
}

function putLimits({ limits }: Keyspace, put: Put): void {
  putSortedSet(put, 'owed', limits.owed)
  putHash(put, 'limits', limits.definitions.entries())
  putHash(put, 'pauses', limits.pauses.entries())
  for (const [bucket, set] of limits.slots) putSortedSet(put, `slots:${bucket}`, set)
  for (const [bucket, set] of limits.starts) putSortedSet(put, `starts:${bucket}`, set)
  for (const [queue, set] of limits.waiters) putSortedSet(put, `waiters:${queue}`, set)
  for (const [bucket, ring] of limits.turns.rings) {
    putSortedSet(put, `turns:waiters:${bucket}`, ring)
  }
  for (const [limit, buckets] of limits.waiting) putHash(put, `waiting:${limit}`, buckets)
}

function putFeed({ feed }: Keyspace, put: Put): void {
  const end = feed.end()
  if (end.byteLength > 0) putBytes(put, 'feed', end)
  const rows: [string, string][] = []
  for (const { base, bytes, lastMs } of feed.segments.values()) {
    putBytes(put, `feed:${base}`, bytes)
    rows.push([`${base} ${lastMs}`, String(base)])
  }
  if (feed.base > 0) rows.push(['end', String(feed.base)])
  put('segments', { type: 'zset', value: rows })
}

function putFlows({ flows, work }: Keyspace, put: Put): void {
  for (const [id, fields] of flows.records) {
    putHash(put, `flow:${id}`, fields)
    putSortedSet(put, `members:${id}`, flows.membersOf(id))
    putBytes(put, `flowtags:${id}`, flows.tags.get(id))
  }
  putSortedSet(put, 'flows', flows.listing)
  putSortedSet(put, 'flow_ends', flows.ends)
  for (const [kind, value] of Object.entries(work)) put(kind, { type: 'list', value })
}

function putSortedSet(put: Put, key: string, set: SortedSet): void {
  const value = set.all().map(({ member, score }) => [member, String(score)] as const)
  put(key, { type: 'zset', value })
}

function putHash(put: Put, key: string, entries: Iterable<[string, string | number]>): void {
  const value = [...entries].map(([field, text]) => [field, String(text)] as const)
  put(key, { type: 'hash', value: value.sort(([a], [b]) => order(a, b)) })
}

/** A lease id is its claim's id, a dot and its number; see lua/lib/leases.lua. */
function leasesByClaim({ leases }: Keyspace): ReadonlyMap<string, [string, string][]> {
  const claims = new Map<string, [string, string][]>()
  for (const [leaseId, id] of leases) {
    const [, claim = leaseId, number = ''] = /^(.*)\.(\d+)$/.exec(leaseId) ?? []
    const held = claims.get(claim) ?? []
    claims.set(claim, held)
    held.push([number, id])
  }
  return claims
}

function putHashes(put: Put, prefix: string, hashes: Hashes): void {
  for (const [name, fields] of hashes.entries()) {
    const value = [...fields].sort(([a], [b]) => byBytes(a, b))
    put(`${prefix}${name}`, { type: 'hash', value })
  }
}

function putBytes(put: Put, key: string, bytes: Uint8Array | string | undefined): void {
  if (bytes === undefined) return
  const buffer = typeof bytes === 'string' ? Buffer.from(bytes) : Buffer.from(bytes)
  put(key, { type: 'string', value: buffer.toString('hex') })
}

function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

function order(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}
