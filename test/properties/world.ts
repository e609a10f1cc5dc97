// What a sequence knows when it decides: the model's state, and what callers remember of before.
import type { Answer, Arguments, OperationName } from '../../src/persistence/contract.ts'
import type { FieldName } from '../../src/persistence/embedded/execution-fields.ts'
import type { ClaimedRow, SuspendedRow } from '../../src/persistence/generated/operations.ts'
import type { Dump } from '../support/canonical.ts'
import { startMs } from '../support/settable-clock.ts'
import { budgetTimes } from './budgets.ts'
import type { Choices } from './choices.ts'
import { waitingTimes } from './waiting.ts'

/** One call of an operation. */
export type Call = {
  readonly [Name in OperationName]: { readonly name: Name; readonly args: Arguments<Name> }
}[OperationName]

/** A step of a sequence: a call, the same again because its reply was lost, or a jump in time. */
export type Step =
  | { readonly step: 'call'; readonly call: Call }
  | { readonly step: 'again' }
  | { readonly step: 'jump'; readonly toMs: number }

/** The stored fields of an execution, as texts. */
export type Fields = Readonly<Partial<Record<FieldName, string>>>

/** Execution id → its stored fields. */
export type Records = ReadonlyMap<string, Fields>

/** What a holder proves. */
export type Fence = Pick<ClaimedRow, 'id' | 'attempt' | 'lease_id' | 'epoch'>

export interface Grant {
  readonly id: string
  readonly of: string
  readonly grant_id: string
  readonly worker: string
}

export const lanes = ['a', 'b', 'ü:{b}'] as const
export const workers = ['w1', 'w2', 'w3'] as const
export const capabilities = ['', 'gpu', 'gpu,ü', 'x'] as const

export function recordsOf(dump: Dump): Records {
  const records = new Map<string, Fields>()
  for (const [key, { type, value }] of dump) {
    if (type === 'hash' && key.startsWith('x:')) {
      records.set(key.slice(2), Object.fromEntries(value))
    }
  }
  return records
}

/** The times at which something happens to an execution by itself. */
export function dueTimes(fields: Fields): number[] {
  if (fields.ended_at !== undefined) return []
  const isHeld = fields.state === 'leased.held'
  const names: FieldName[] = isHeld
    ? ['deadline_at', 'attempt_deadline_at', 'expires_at']
    : ['deadline_at', 'grant_until', 'not_before', 'permit_until', 'wait_until']
  return names.flatMap((name) => (fields[name] === undefined ? [] : [Number(fields[name])]))
}

export class World {
  nowMs = startMs
  records: Records = new Map()
  /** Everything that is stored. */
  dump: Dump = new Map()
  /** Every fence that was ever given out, the newest last. */
  readonly fences: Fence[] = []
  readonly grants: Grant[] = []
  /** Calls that were made before, to be made again much later. */
  readonly calls: Call[] = []
  readonly leaseStems: string[] = []
  /** Suspensions, ids of operators' resumptions, signals that were sent, rows of pages. */
  readonly suspensions: Arguments<'execution.suspend'>[] = []
  readonly resumeIds: string[] = []
  readonly deliveries: Arguments<'signal.deliver'>[] = []
  readonly suspendedRows: SuspendedRow[] = []
  readonly ids: string[] = []
  readonly flows: string[] = []
  /** Where readers of the feed may go on. */
  readonly places: number[] = []
  /** `id:attempt` → how many frames its stream has had, and the version of its document. */
  readonly frames = new Map<string, { readonly count: number; readonly version: number }>()
  private readonly made = new Map<string, number>()

  /** A name that was not there before. */
  fresh(kind: string): string {
    const count = (this.made.get(kind) ?? 0) + 1
    this.made.set(kind, count)
    return `${kind}-${count}`
  }

  /** An id for a new execution; they do not come in order. */
  freshId(): string {
    const number = Number(this.fresh('id').slice(3))
    return ((number * 40_503) % 65_536).toString(16).padStart(26, '0')
  }

  /** Ids of executions in any of these states, or of all. */
  idsIn(pattern: RegExp = /./): string[] {
    return [...this.records].flatMap(([id, { state = '' }]) => (pattern.test(state) ? [id] : []))
  }

  /** Flows that there are, in the order in which they were made here. */
  flowIds(): string[] {
    return this.flows.filter((id) => this.dump.has(`flow:${id}`))
  }

  /** The members of a flow, in the order of their ids. */
  membersOf(flow: string): string[] {
    return [...this.records].flatMap(([id, fields]) => (fields.flow === flow ? [id] : []))
  }

  /** An id in such a state, mostly; sometimes any id, sometimes one that nobody knows. */
  someId(choices: Choices, pattern?: RegExp): string {
    const fitting = this.idsIn(pattern)
    if (fitting.length > 0 && !choices.rarely(5)) return choices.one(fitting)
    const known = this.ids
    return known.length === 0 || choices.rarely(6) ? '9'.repeat(26) : choices.one(known)
  }

  /** The fence of an execution that is held now. */
  currentFence(choices: Choices): Fence | undefined {
    const held = this.idsIn(/^leased\.held$/)
    return held.length === 0 ? undefined : this.fenceOf(choices.one(held))
  }

  /** The fence of the last lease of an execution. */
  fenceOf(id: string): Fence | undefined {
    const { attempt, lease_id, epoch } = this.records.get(id) ?? {}
    if (lease_id === undefined) return undefined
    return { id, attempt: Number(attempt), lease_id, epoch: Number(epoch) }
  }

  /** A fence that holds three times in four; otherwise an old, a settled or a forged one. */
  someFence(choices: Choices): Fence {
    const current = choices.below(4) < 3 ? this.currentFence(choices) : undefined
    if (current !== undefined) return current
    const old = this.fences.at(-1 - choices.below(Math.max(1, this.fences.length)))
    const fence = old ?? { id: '8'.repeat(26), attempt: 0, lease_id: 'none', epoch: 1 }
    switch (choices.below(6)) {
      case 4:
        return { ...fence, epoch: fence.epoch + 1 }
      case 5:
        return choices.rarely(2)
          ? { ...fence, attempt: fence.attempt + 1 }
          : { ...fence, lease_id: `${fence.lease_id}x` }
      default:
        return fence
    }
  }

  /** The earliest time from now on at which something happens by itself. */
  nextDueMs(): number | undefined {
    const times = waitingTimes(this.dump, this.records.keys())
    times.push(...budgetTimes(this.dump))
    for (const fields of this.records.values()) {
      times.push(...dueTimes(fields), ...purgeTimes(fields))
    }
    const ahead = times.filter((at) => at > this.nowMs)
    return ahead.length === 0 ? undefined : Math.min(...ahead)
  }

  private learnFrames({ args }: Call, answer: Answer<OperationName>): void {
    if (!('count' in answer) || !('attempt' in args && 'id' in args)) return
    const stream = `${args.id}:${args.attempt}`
    const version = 'version' in answer ? answer.version : this.frames.get(stream)?.version
    this.frames.set(stream, { count: answer.count, version: version ?? 0 })
  }

  learn(call: Call, answer: Answer<OperationName>, records: Records, dump: Dump): void {
    this.records = records
    this.dump = dump
    this.calls.push(call)
    if (call.name === 'execution.suspend') this.suspensions.push(call.args)
    if (call.name === 'execution.resume') this.resumeIds.push(call.args.resume_id)
    if (call.name === 'signal.deliver') this.deliveries.push(call.args)
    if ('executions' in answer && call.name === 'partition.suspended') {
      this.suspendedRows.push(...(answer.executions as readonly SuspendedRow[]))
    }
    if (answer.outcome === 'submitted') this.ids.push(answer.id)
    if (call.name === 'flow.apply' && answer.outcome === 'applied') {
      this.ids.push(...call.args.members.map(({ id }) => id))
      if ('created' in answer && answer.created) this.flows.push(call.args.flow)
    }
    this.learnFrames(call, answer)
    if (call.name === 'lease.claim') this.leaseStems.push(call.args.lease_id)
    if ('text' in answer) this.places.push(answer.from, answer.from + answer.text.byteLength)
    if ('rows' in answer) {
      for (const { id, attempt, lease_id, epoch } of answer.rows) {
        this.fences.push({ id, attempt, lease_id, epoch })
      }
    }
    if (call.name === 'lease.grant' && answer.outcome === 'granted') {
      const { id, of, worker } = call.args
      this.grants.push({ id, of, worker, grant_id: answer.grant_id })
    }
  }
}

function purgeTimes({ ended_at, retention_ms = '86400000' }: Fields): number[] {
  return ended_at === undefined ? [] : [Number(ended_at) + Number(retention_ms)]
}
