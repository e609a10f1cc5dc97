// Searching executions over any store: bounded steps from partition to partition.
import { EngineError } from '../errors.ts'
import { type ExecutionId, formatExecutionId, parseExecutionId } from '../ids.ts'
import { bounds } from '../limits.ts'
import type { PublicState } from '../machines/execution.ts'
import { type LeafName, leafNames } from '../machines/generated/lifecycle.ts'
import { leafOf } from '../machines/table.ts'
import { anyCount, checkWhole } from './arguments.ts'
import type { Arguments } from './contract.ts'
import { type CorruptRow, corruptKey, fieldReader, readRows } from './corruption.ts'
import type { FoundRow } from './generated/operations.ts'
import type { Store } from './store.ts'
import { storedCall } from './stored-call.ts'
import { tagName, tagPair } from './submission.ts'

/** What executions have to be like; everything that is there must fit. */
export interface SearchFilter {
  /** With this tag; without a value whatever it is. With one the search reads the tag's index. */
  readonly tag?: { readonly name: string; readonly value?: string | undefined } | undefined
  /** What people see, or one leaf of the lifecycle. */
  readonly state?: PublicState | LeafName | undefined
  /** Of this lane. */
  readonly lane?: string | undefined
  /** Of this task. */
  readonly task?: string | undefined
  /** Created at this time or later. */
  readonly createdAfterMs?: number | undefined
  /** Created before this time. */
  readonly createdBeforeMs?: number | undefined
  /** Of this flow. */
  readonly flow?: string | undefined
}

/** An execution that fits; `describeExecution` knows more about it. */
export interface FoundExecution {
  readonly executionId: ExecutionId
  readonly lane: string
  readonly task: string
  readonly state: LeafName
  readonly publicState: PublicState
  readonly createdAtMs: number
  readonly updatedAtMs: number
  readonly endedAtMs: number | undefined
  readonly totalAttempts: number
  /** Why it ended, as one word. */
  readonly reason: string | undefined
  readonly flow: string | undefined
}

export interface SearchPage {
  readonly items: readonly FoundExecution[]
  /** Damaged executions that may fit. */
  readonly corrupt: readonly CorruptRow[]
  /** Present until everything was looked at, also when nothing on this page fitted. */
  readonly nextCursor: string | undefined
}

export interface SearchBackend {
  /**
   * Executions that fit, by partition and id, after the cursor. One call looks at a thousand at
   * most, so that a page may hold fewer than `limit`, or none, and still have a cursor. What exists
   * and fits throughout a walk is on one of its pages, and on no other.
   */
  searchExecutions(
    filter: SearchFilter,
    cursor: string | undefined,
    limit: number,
  ): Promise<SearchPage>
}

type Search = Arguments<'partition.search'>
type Wanted = Omit<Search, 'after' | 'count' | 'look'>

/** Where a walk is: behind an id of a partition, or at the beginning of one. */
interface Place {
  readonly partition: number
  readonly after: string | undefined
}

const known: readonly (keyof SearchFilter)[] = [
  'tag',
  'state',
  'lane',
  'task',
  'createdAfterMs',
  'createdBeforeMs',
  'flow',
]

function refuse(argument: string, why: string): never {
  throw new EngineError('invalid_input', `${argument} ${why}`, { details: { argument, why } })
}

function parseCursor(cursor: string, partitionCount: number): Place {
  const match = /^(0|[1-9]\d{0,3}):([0-9a-hjkmnp-tv-z]{26})?$/.exec(String(cursor))
  const partition = match === null ? partitionCount : Number(match[1])
  if (partition >= partitionCount) refuse('cursor', 'is not one of an earlier page')
  return { partition, after: match?.[2] }
}

const formatCursor = ({ partition, after = '' }: Place): string => `${partition}:${after}`

/** Leaves by their own name or by what people see. */
function leavesOf(state: string): string {
  const named = leafNames.filter(
    (name) => name !== 'absent' && (name === state || leafOf(name)?.public === state),
  )
  return named.length === 0 ? refuse('state', `${state} is unknown`) : named.join(',')
}

function tagOf(tag: SearchFilter['tag']): Pick<Search, 'tag' | 'named'> {
  if (tag === undefined) return { tag: undefined, named: undefined }
  const { name, value } = tag ?? {}
  if (typeof name !== 'string') refuse('tag', 'has no name')
  if (value === undefined) return { tag: undefined, named: tagName(name) }
  return typeof value === 'string'
    ? { tag: tagPair(name, value), named: undefined }
    : refuse('tag', 'has a value that is no text')
}

/** A misspelt filter would let everything fit. */
function wantedOf(filter: SearchFilter): Wanted {
  const unknown = Object.keys(filter).find((name) => !known.some((other) => other === name))
  if (unknown !== undefined) refuse(unknown, 'is no filter')
  const { tag, state, lane, task, createdAfterMs, createdBeforeMs, flow } = filter
  return {
    ...tagOf(tag),
    states: state === undefined ? undefined : leavesOf(state),
    lane,
    task,
    created_from: createdAfterMs,
    created_to: createdBeforeMs,
    flow: flow === undefined ? undefined : flowOf(flow).local,
  }
}

function flowOf(flow: string) {
  try {
    return parseExecutionId(flow)
  } catch {
    return refuse('flow', 'is not the id of a flow')
  }
}

function readFound(partition: number, row: FoundRow): FoundExecution {
  const id = formatExecutionId(partition, row.id)
  const { damage, ...fields } = row
  if (damage !== undefined) {
    const [, key = '', field = '', why = ''] = /^(\S+) (\S+) (.+)$/.exec(damage) ?? []
    corruptKey(key, field, why)
  }
  const read = fieldReader(id, 'x', fields)
  const state = read.oneOf('state', leafNames)
  return {
    executionId: id,
    lane: read.text('lane'),
    task: read.text('task'),
    state,
    publicState: leafOf(state)?.public ?? read.refuse('state', 'unknown'),
    createdAtMs: read.number('created_at'),
    updatedAtMs: read.number('updated_at'),
    endedAtMs: read.optionalNumber('ended_at'),
    totalAttempts: (read.optionalNumber('attempt') ?? -1) + 1,
    reason: read.optionalText('reason'),
    flow: row.flow === undefined ? undefined : formatExecutionId(partition, row.flow),
  }
}

/** One call: from partition to partition until the page or the number of looks is full. */
class Walk {
  private readonly store: Store
  private readonly wanted: Wanted
  private readonly last: number
  private readonly items: FoundExecution[] = []
  private readonly corrupt: CorruptRow[] = []
  private look: number = bounds.search_count.max

  constructor(store: Store, wanted: Wanted, last: number) {
    this.store = store
    this.wanted = wanted
    this.last = last
  }

  async from(start: Place, limit: number): Promise<SearchPage> {
    let place: Place | undefined = start
    while (place !== undefined && this.look > 0) {
      const room = limit - this.items.length - this.corrupt.length
      if (room <= 0) break
      place = await this.step(place, Math.min(room, bounds.search_count.max))
    }
    const { items, corrupt: damaged } = this
    return { items, corrupt: damaged, nextCursor: place && formatCursor(place) }
  }

  /** Returns where to go on. */
  private async step({ partition, after }: Place, count: number): Promise<Place | undefined> {
    const args = { ...this.wanted, after, count, look: this.look }
    const answer = await storedCall(this.store, partition, 'partition.search', args)
    const found = readRows(
      answer.executions,
      ({ id }) => formatExecutionId(partition, id),
      (row) => readFound(partition, row),
    )
    this.items.push(...found.items)
    this.corrupt.push(...found.corrupt)
    // An empty partition costs a call, too.
    this.look -= Math.max(1, answer.looked)
    if (answer.next !== undefined) return { partition, after: answer.next }
    return partition < this.last ? { partition: partition + 1, after: undefined } : undefined
  }
}

/** The part of a backend that searches. */
export function searchOperations(store: Store): SearchBackend {
  return {
    async searchExecutions(filter, cursor, limit) {
      checkWhole('limit', limit, anyCount)
      const wanted = wantedOf(filter)
      // All of a flow is in its own partition.
      const only = filter.flow === undefined ? undefined : flowOf(filter.flow).partition
      const first = { partition: only ?? 0, after: undefined }
      const start = cursor === undefined ? first : parseCursor(cursor, store.partitionCount)
      const isElsewhere = only !== undefined && only >= store.partitionCount
      if (limit === 0 || isElsewhere) return { items: [], corrupt: [], nextCursor: undefined }
      return new Walk(store, wanted, only ?? store.partitionCount - 1).from(start, limit)
    },
  }
}
