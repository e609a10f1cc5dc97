// Rebuilds the keyspace from its records and refuses records that cannot be right.
import { EngineError } from '../../errors.ts'
import { leafOf } from '../../machines/table.ts'
import { parseRetryPolicy } from '../retry-policy.ts'
import { enterBudget } from './budgets.ts'
import { absentFields, type ExecutionFields, type FieldName } from './execution-fields.ts'
import { type PackedFrame, storedFrame } from './frame-list.ts'
import { parseEdge } from './group.ts'
import { Keyspace } from './keyspace.ts'
import { rowOfBucket } from './limit.ts'
import { type FieldKind, type FieldMap, fieldKinds, type StoredExecution } from './record.ts'
import {
  decodeFields,
  decodeHash,
  decodeList,
  decodeRoutes,
  decodeText,
  splitField,
  splitKey,
  splitStart,
} from './record-codec.ts'
import { enterTags } from './tags.ts'
import { enterIndexes } from './transition.ts'
import { enterUnsettled } from './usage-log.ts'
import { enterWaiters } from './waiters.ts'

const always: readonly FieldName[] = ['created_at', 'lane', 'state', 'task', 'updated_at']
const attempted: readonly FieldName[] = ['attempt', 'epoch', 'lease_id', 'started_at', 'worker']

/** What an execution must have besides, by the first word of its state and by its whole state. */
const required: Readonly<Record<string, readonly FieldName[]>> = {
  'leased.held': ['expires_at', 'lease_ms'],
  leased: attempted,
  delayed: ['not_before'],
  'delayed.parked': ['parked', ...attempted],
  suspended: ['parked', 'suspension', ...attempted],
  terminal: ['ended_at'],
}

function readFields(bytes: Uint8Array): ExecutionFields {
  const found = decodeFields(bytes)
  const state = found.state ?? ''
  const leaf = leafOf(state)
  if (leaf === undefined || leaf.index === 'none') throw new Error(`is in no state: "${state}"`)
  const place = state.split('.')[0] ?? ''
  const needed = new Set([...always, ...(required[place] ?? []), ...(required[state] ?? [])])
  const missing = [...needed].filter((name) => found[name] === undefined)
  if (state === 'runnable.blocked' && (found.block_reason ?? found.withheld) === undefined) {
    missing.push('block_reason')
  }
  if (missing.length > 0) throw new Error(`misses ${missing.join(', ')}`)
  if (found.retry !== undefined && parseRetryPolicy(found.retry) === undefined) {
    throw new Error('has a retry policy that cannot be read')
  }
  return { ...absentFields, ...found }
}

function readKeyed(bytes: Uint8Array) {
  const match = /^(\S+) (\S+)$/.exec(decodeText(bytes))
  if (match === null) throw new Error('has another form')
  const [, id = '', fingerprint = ''] = match
  return { id, fingerprint }
}

function readTagged(bytes: Uint8Array): string {
  const text = decodeText(bytes)
  if (!/^[\w-]{44}(,[\w-]{44})*$/.test(text)) throw new Error('has another form')
  return text
}

function readPlace(name: string): number {
  if (!/^\d{1,16}$/.test(name)) throw new Error('has no place in the feed')
  return Number(name)
}

/** Records as they are read one by one, before it is known which belong together. */
class Loaded {
  readonly fields = new Map<string, ExecutionFields>()
  readonly inputs = new Map<string, Uint8Array>()
  readonly endings = new Map<string, Uint8Array>()
  readonly notes = new Map<string, string>()
  readonly tags = new Map<string, string>()
  readonly tagged = new Map<string, string>()
  readonly attempts = new Map<string, string[]>()
  readonly wait = new Map<string, FieldMap>()
  readonly points = new Map<string, FieldMap>()
  readonly signals = new Map<string, FieldMap>()
  readonly group = new Map<string, FieldMap>()
  readonly flows = new Map<string, Map<string, string>>()
  readonly flowTags = new Map<string, string>()
  /** Parts of the feed by their places. */
  readonly lines = new Map<number, Buffer>()
  readonly segments = new Map<number, Buffer>()
  readonly streams = new Map<string, string>()
  readonly frames = new Map<string, PackedFrame[]>()
  readonly summaries = new Map<string, Uint8Array>()
  readonly keyspace = new Keyspace(true)
}

/** Payloads are bytes; everything else that has fields is text. */
function loadField(kind: FieldKind): Load {
  return (loaded, name, bytes) => {
    const [id, field] = splitField(name)
    const fields = loaded[kind].get(id) ?? new Map<string, string | Uint8Array>()
    const isPayload = kind === 'signals' && field.startsWith('p')
    fields.set(field, isPayload ? Buffer.from(bytes) : decodeText(bytes))
    loaded[kind].set(id, fields)
  }
}

type Load = (loaded: Loaded, name: string, bytes: Uint8Array) => void

const loaders: Readonly<Record<string, Load>> = {
  'x:': ({ fields }, id, bytes) => fields.set(id, readFields(bytes)),
  'in:': ({ inputs }, id, bytes) => inputs.set(id, Buffer.from(bytes)),
  'out:': ({ endings }, id, bytes) => endings.set(id, Buffer.from(bytes)),
  'note:': ({ notes }, id, bytes) => notes.set(id, decodeText(bytes)),
  'tags:': ({ tags }, id, bytes) => tags.set(id, decodeText(bytes)),
  'tagged:': ({ tagged }, id, bytes) => tagged.set(id, readTagged(bytes)),
  'attempts:': ({ attempts }, id, bytes) => attempts.set(id, decodeList(bytes)),
  'streams:': ({ streams }, name, bytes) => streams.set(name, decodeText(bytes)),
  'frames:': ({ frames }, name, bytes) => {
    const stream = name.slice(0, name.lastIndexOf(':'))
    const list = frames.get(stream) ?? []
    frames.set(stream, list)
    list.push(storedFrame(Buffer.from(bytes)))
  },
  'summary:': ({ summaries }, name, bytes) => summaries.set(name, Buffer.from(bytes)),
  'key:': ({ keyspace }, digest, bytes) => keyspace.keyed.set(digest, readKeyed(bytes)),
  'wait:': loadField('wait'),
  'points:': loadField('points'),
  'signals:': loadField('signals'),
  'group:': loadField('group'),
  'flow:': ({ flows }, id, bytes) => flows.set(id, new Map(decodeHash(bytes))),
  'flowtags:': ({ flowTags }, id, bytes) => flowTags.set(id, decodeText(bytes)),
  backlog: ({ keyspace }, _name, bytes) => keyspace.work.backlog.push(...decodeList(bytes)),
  stuck: ({ keyspace }, _name, bytes) => keyspace.work.stuck.push(...decodeList(bytes)),
  keyring: ({ keyspace }, _name, bytes) => {
    for (const [name, value] of decodeHash(bytes)) keyspace.keyring.set(name, value)
  },
  'line:': ({ lines }, place, bytes) => lines.set(readPlace(place), Buffer.from(bytes)),
  'segment:': ({ segments }, base, bytes) => segments.set(readPlace(base), Buffer.from(bytes)),
  feed: ({ keyspace }, _name, bytes) => {
    keyspace.feed.base = readPlace(decodeText(bytes))
  },
  limits: ({ keyspace }, _name, bytes) => {
    for (const [name, text] of decodeHash(bytes)) keyspace.limits.definitions.set(name, text)
  },
  pauses: ({ keyspace }, _name, bytes) => {
    for (const [bucket, text] of decodeHash(bytes)) keyspace.limits.pauses.set(bucket, text)
  },
  'start:': ({ keyspace }, name, bytes) => {
    const [bucket, holder] = splitStart(name)
    keyspace.limits.addStart(bucket, holder, readPlace(decodeText(bytes)))
  },
  'budget:': ({ keyspace }, name, bytes) => keyspace.budgets.load(name, decodeText(bytes)),
  'ledger0:': ({ keyspace }, name, bytes) => keyspace.ledgers[0].load(name, decodeText(bytes)),
  'ledger1:': ({ keyspace }, name, bytes) => keyspace.ledgers[1].load(name, decodeText(bytes)),
  'holds:': ({ keyspace }, name, bytes) => keyspace.holds.load(name, decodeText(bytes)),
  'told:': ({ keyspace }, name, bytes) => keyspace.told.load(name, decodeText(bytes)),
  exhausted: ({ keyspace }, _name, bytes) => {
    for (const [budget, text] of decodeHash(bytes)) keyspace.exhausted.set(budget, text)
  },
  admitting: ({ keyspace }, _name, bytes) => {
    for (const [budget, text] of decodeHash(bytes)) keyspace.admitting.set(budget, text)
  },
  'usage:': ({ keyspace }, name, bytes) => keyspace.usage.load(name, decodeText(bytes)),
  lanes: ({ keyspace }, _name, bytes) => {
    for (const [lane, state] of decodeHash(bytes)) keyspace.lanes.set(lane, state)
  },
  config: ({ keyspace }, _name, bytes) => {
    for (const [name, value] of decodeHash(bytes)) keyspace.config.set(name, value)
  },
  routes: ({ keyspace }, _name, bytes) => {
    for (const [lane, words] of decodeRoutes(bytes)) keyspace.routes.set(lane, new Set(words))
  },
}

function corruption(key: string, why: string, cause?: unknown): EngineError {
  return new EngineError('corruption', `record ${key} ${why}`, { details: { key, why }, cause })
}

function load(loaded: Loaded, key: string, bytes: Uint8Array): void {
  const [kind, name] = splitKey(key)
  const loader = loaders[kind]
  if (loader === undefined) throw corruption(key, 'is of no known kind')
  try {
    loader(loaded, name, bytes)
  } catch (cause) {
    throw corruption(key, cause instanceof Error ? cause.message : String(cause), cause)
  }
}

/** Every record must find its execution, and an execution what it cannot be without. */
function verify(loaded: Loaded): void {
  const { keyspace, fields, inputs, endings, notes, tags, tagged, attempts, wait } = loaded
  for (const [id, { key, tagged: isTagged }] of fields) {
    if (!inputs.has(id)) throw corruption(`in:${id}`, 'is missing')
    if (tagged.has(id) !== (isTagged === 1)) {
      throw corruption(`tagged:${id}`, isTagged === 1 ? 'is missing' : 'is not expected')
    }
    if (key !== undefined && keyspace.keyed.get(key)?.id !== id) {
      throw corruption(`key:${key}`, `does not lead to ${id}`)
    }
  }
  const { points, signals, group } = loaded
  const owned = {
    in: inputs,
    out: endings,
    note: notes,
    tags,
    tagged,
    attempts,
    wait,
    points,
    signals,
    group,
  }
  for (const [kind, records] of Object.entries(owned)) {
    for (const id of records.keys()) {
      if (!fields.has(id)) throw corruption(`${kind}:${id}`, 'belongs to no execution')
    }
  }
  for (const [digest, { id }] of keyspace.keyed.entries()) {
    if (!fields.has(id)) throw corruption(`key:${digest}`, 'leads to no execution')
  }
}

/** Puts the parts of the feed together; there may be no hole between them. */
function joinFeed({ keyspace: { feed }, lines, segments }: Loaded): void {
  const parts = [
    ...[...segments].map(([base, bytes]) => ({ kind: 'segment' as const, base, bytes })),
    ...[...lines].map(([base, bytes]) => ({ kind: 'line' as const, base, bytes })),
  ].sort((a, b) => a.base - b.base)
  let next = parts[0]?.base ?? feed.base
  for (const { kind, base, bytes } of parts) {
    const key = `${kind}:${base}`
    if (base !== next) throw corruption(key, `begins at ${base}, not at ${next}`)
    if ((kind === 'line') !== base >= feed.base) throw corruption(key, 'is not where it belongs')
    feed.restore(kind, base, bytes)
    next = base + bytes.byteLength
  }
  if (next < feed.base) throw corruption('feed', `ends at ${next}, before ${feed.base}`)
}

/** Puts each stream together from its state, its frames and its document. */
function loadStreams({ keyspace, fields, streams, frames, summaries }: Loaded): void {
  for (const [kind, records] of Object.entries({ frames, summary: summaries })) {
    for (const name of records.keys()) {
      if (!streams.has(name)) throw corruption(`${kind}:${name}`, 'belongs to no stream')
    }
  }
  for (const [name, state] of streams) {
    const key = `streams:${name}`
    if (!fields.has(name.split(':')[0] ?? '')) throw corruption(key, 'belongs to no execution')
    // Records come in the order of their keys as text, in which 10 is before 2.
    const inOrder = (frames.get(name) ?? []).sort((a, b) => a.number - b.number)
    try {
      keyspace.streams.load(name, state, inOrder, summaries.get(name))
    } catch (cause) {
      throw corruption(key, cause instanceof Error ? cause.message : String(cause), cause)
    }
  }
  for (const [id, { streamed, attempt = 0 }] of fields) {
    if (streamed !== 1 || keyspace.streams.get(id, attempt) !== undefined) continue
    throw corruption(`streams:${id}:${attempt}`, 'is missing')
  }
}

/** Puts flows together with their members, and edges with both of their ends. */
function joinGraphs({ keyspace, flows, flowTags, fields }: Loaded): void {
  for (const [id, hash] of flows) keyspace.flows.load(id, hash, flowTags.get(id))
  for (const [id, { flow }] of fields) {
    if (flow === undefined) continue
    if (!flows.has(flow)) throw corruption(`x:${id}`, `belongs to flow ${flow}, which is missing`)
    keyspace.flows.membersOf(flow).add(id, 0)
  }
  for (const [id, stored] of keyspace.executions) {
    for (const [upstream, text] of stored.group ?? []) {
      const edge = upstream.length === id.length ? parseEdge(upstream, String(text)) : undefined
      if (edge === undefined) continue
      const from = keyspace.executions.get(upstream)
      if (from === undefined) throw corruption(`group:${id}`, `has an edge from ${upstream}`)
      stored.up ??= []
      from.down ??= []
      stored.up[edge.inbound] = upstream
      from.down[edge.outbound] = id
    }
  }
}

/** Every bucket that may have to be opened is looked at once, at the next occasion. */
function openBuckets({ limits, timers }: Keyspace): void {
  const buckets = [...limits.waiting.values()].flatMap((counted) => [...counted.keys()])
  const paused = [...limits.pauses.entries()].map(([bucket]) => bucket)
  for (const bucket of new Set([...buckets, ...paused, ...limits.starts.keys()])) {
    timers.add(rowOfBucket(bucket), 0)
    limits.openings.set(bucket, 0)
  }
}

/** Enters budgets and reports of usage into their indexes. */
function loadBudgets({ keyspace, fields }: Loaded): void {
  const { budgets, ledgers, holds, told, usage } = keyspace
  const [ledger0, ledger1] = ledgers
  for (const [kind, hashes] of Object.entries({ ledger0, ledger1, holds, told })) {
    for (const [id] of hashes.entries()) {
      if (!budgets.has(id)) throw corruption(`${kind}:${id}`, 'belongs to no budget')
    }
  }
  for (const [id, budget] of budgets.entries()) {
    const isWhole = budget.has('fingerprint') || budget.has('removed')
    if (!isWhole) throw corruption(`budget:${id}`, 'misses fingerprint')
    enterBudget(keyspace, id, budget)
  }
  for (const [id] of usage.entries()) {
    try {
      enterUnsettled(keyspace, id)
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause)
      throw corruption(`usage:${id}`, why, cause)
    }
  }
  for (const [id, { spent }] of fields) {
    if (spent === 1 && !usage.has(id)) throw corruption(`usage:${id}`, 'is missing')
  }
}

/** The keyspace that these records describe, or `corruption` naming the first bad one. */
export function rebuildKeyspace(records: Iterable<readonly [string, Uint8Array]>): Keyspace {
  const loaded = new Loaded()
  const { keyspace } = loaded
  for (const [key, bytes] of records) load(loaded, key, bytes)
  verify(loaded)
  joinFeed(loaded)
  loadStreams(loaded)
  loadBudgets(loaded)
  for (const [id, fields] of loaded.fields) {
    keyspace.executions.set(id, {
      id,
      fields,
      input: loaded.inputs.get(id) ?? Buffer.alloc(0),
      tags: loaded.tags.get(id),
      tagged: loaded.tagged.get(id),
      ending: loaded.endings.get(id),
      note: loaded.notes.get(id),
      attempts: loaded.attempts.get(id),
      ...Object.fromEntries(fieldKinds.map((kind) => [kind, loaded[kind].get(id)])),
    })
    enterIndexes(keyspace, id, fields)
    enterTags(keyspace, keyspace.executions.get(id) as StoredExecution)
    if (fields.withheld === 'budget') enterWaiters(keyspace, id, fields)
  }
  joinGraphs(loaded)
  openBuckets(keyspace)
  // All of this came from the directory; nothing of it has to go back.
  keyspace.changes.take()
  return keyspace
}
