// Flows in a store, behind the names of plans: what the oracle is compared with.

import { EngineError } from '../../../src/errors.ts'
import { leafOf } from '../../../src/machines/table.ts'
import type {
  Answer,
  Arguments,
  OperationName,
  Refusal,
} from '../../../src/persistence/contract.ts'
import { operationPlans } from '../../../src/persistence/generated/operations.ts'
import { digestOf } from '../../properties/commands/submit.ts'
import {
  type ApplyPlan,
  type FlowCall,
  type FlowState,
  type FlowSubject,
  type FlowView,
  type JoinPlan,
  type NodeState,
  nodeStates,
  type Seen,
} from '../vocabulary.ts'
import { flowId, NodeIds, partsOf, unsetOf } from './parts.ts'

/** A store with one partition, and the clock that it goes by. */
export interface TimedStore {
  call<Name extends OperationName>(name: Name, args: Arguments<Name>): Promise<Answer<Name>>
  pass(ms: number): Promise<void>
  nowMs(): number
}

class Refused extends Error {}

type Fence = Pick<Arguments<'execution.complete'>, 'id' | 'attempt' | 'lease_id' | 'epoch'>

const leaseMs = 3_600_000
const drainCount = 1000
const pageCount = 1000
const pauseMs = 50

/** A change of a flow that says nothing. */
const nothing = {
  ...(unsetOf(operationPlans['flow.apply'].args) as Arguments<'flow.apply'>),
  members: [],
  joins: [],
  edges: [],
  finish: false,
}

class StoreSubject implements FlowSubject {
  private readonly store: TimedStore
  private readonly ids = new NodeIds()
  private fences = new Map<string, Fence>()
  private made = 0
  private last: () => Promise<Seen> = async () => 'nothing'

  constructor(store: TimedStore) {
    this.store = store
  }

  call(call: FlowCall): Promise<Seen> {
    const perform = this.prepared(call)
    this.last = async () => {
      try {
        return await (await perform)()
      } catch (error) {
        if (error instanceof Refused) return `refused ${error.message}`
        if (error instanceof EngineError && error.code === 'invalid_input') {
          return `refused ${error.code}`
        }
        throw error
      }
    }
    return this.last()
  }

  private async ask<Name extends OperationName>(
    name: Name,
    args: Arguments<Name>,
  ): Promise<Exclude<Answer<Name>, Refusal>> {
    const answer = await this.store.call(name, args)
    if (answer.outcome === 'refused') throw new Refused((answer as Refusal).code)
    return answer as Exclude<Answer<Name>, Refusal>
  }

  again(): Promise<Seen> {
    return this.last()
  }

  async tick(ms: number): Promise<void> {
    await this.store.pass(ms)
    await this.ask('partition.sweep', { count: 1000 })
  }

  async forget(): Promise<void> {
    this.fences = new Map()
  }

  async drain(): Promise<void> {
    let answer: Exclude<Answer<'partition.drain'>, Refusal>
    do {
      answer = await this.ask('partition.drain', { count: drainCount, again: false })
      if (answer.stuck > 0) throw new Error(`work of the backlog is stuck: ${answer.why}`)
    } while (answer.left > 0)
  }

  async look(): Promise<FlowView> {
    const [found, listed] = await Promise.all([
      this.ask('flow.describe', { flow: flowId }),
      this.ask('flow.members', { flow: flowId, after: undefined, count: pageCount }),
    ])
    if (found.outcome !== 'found') throw new Error('the flow is gone')
    const members = [...listed.members]
    for (let { more } = listed; more; ) {
      const after = members.at(-1)?.id
      const page = await this.ask('flow.members', { flow: flowId, after, count: pageCount })
      members.push(...page.members)
      more = page.more
    }
    return viewOf(
      found.fields,
      members.map(({ id, state }) => [this.ids.nameOf(id), state]),
    )
  }

  async state(node: string): Promise<NodeState | undefined> {
    const { state } = await this.fieldsOf(node)
    return state === undefined ? undefined : publicStateOf(state)
  }

  private async fieldsOf(node: string): Promise<Readonly<Record<string, string>>> {
    const id = this.ids.idOf(node)
    const found = await this.ask('execution.describe', { id })
    return found.outcome === 'found' ? found.fields : {}
  }

  /** The fence of whoever holds the node; read again when it is not known any more. */
  private async fenceOf(node: string): Promise<Fence> {
    const known = this.fences.get(node)
    if (known !== undefined) return known
    const { attempt = '0', lease_id = 'none', epoch = '1' } = await this.fieldsOf(node)
    const id = this.ids.idOf(node)
    return { id, attempt: Number(attempt), lease_id, epoch: Number(epoch) }
  }

  private fresh(kind: string): string {
    this.made += 1
    return `${kind}${this.made}`
  }

  /** Everything that the caller decides, so that making the call again is the same call. */
  private async prepared(call: FlowCall): Promise<() => Promise<Seen>> {
    switch (call.do) {
      case 'create':
        return () => this.create(call)
      case 'apply':
        return () => this.apply(call.apply)
      case 'spawn': {
        const fence = await this.fenceOf(call.node)
        return () => this.apply(call.apply, fence)
      }
      case 'cancelFlow':
        return () => this.cancelFlow(call.policy)
      case 'start':
        return this.starting(call.node)
      case 'replay':
      case 'replaySubgraph':
        return this.replaying(call)
      case 'stop':
      case 'resume':
      case 'block':
      case 'unblock':
      case 'revoke':
        return this.operating(call.do, this.ids.idOf(call.node))
      default:
        return this.giving(call)
    }
  }

  private async create({ flow }: Extract<FlowCall, { do: 'create' }>): Promise<Seen> {
    const { kind = 'dag', failure, completion, root, tags } = flow
    const { created } = await this.ask('flow.apply', {
      ...nothing,
      flow: flowId,
      kind,
      failure: failure === 'isolate' ? undefined : failure,
      completion: completion === 'all' ? undefined : completion,
      root: root === undefined ? undefined : this.ids.idOf(root),
      retention_ms: undefined,
      tags,
    })
    return created ? 'created' : 'exists'
  }

  private async apply(plan: ApplyPlan, parent?: Fence): Promise<Seen> {
    const { added, linked } = await this.ask('flow.apply', {
      ...nothing,
      flow: flowId,
      ...partsOf(plan, this.ids),
      parent: parent?.id,
      attempt: parent?.attempt,
      lease_id: parent?.lease_id,
      epoch: parent?.epoch,
    })
    return `applied ${added} ${linked}`
  }

  private async cancelFlow(policy: Arguments<'flow.cancel'>['policy']): Promise<Seen> {
    const answer = await this.ask('flow.cancel', { flow: flowId, policy, why: '' })
    return answer.outcome === 'cancelled' ? `cancelled ${answer.policy}` : `ended ${answer.state}`
  }

  private starting(node: string): () => Promise<Seen> {
    const lease_id = this.fresh('lease')
    const lanes = this.ids.laneOf(node)
    const policy = { capabilities: '', kinds: 'frc', count: 1, worker: 'worker' }
    const args = { lanes, ...policy, lease_id, lease_ms: leaseMs, sleep_ms: undefined }
    return async () => {
      const answer = await this.ask('lease.claim', args)
      const [row] = answer.outcome === 'claimed' ? answer.rows : []
      if (row === undefined) return 'nothing'
      const { id, attempt, lease_id, epoch } = row
      const name = this.ids.nameOf(id)
      this.fences.set(name, { id, attempt, lease_id, epoch })
      return `claimed ${name}`
    }
  }

  private replaying(call: Extract<FlowCall, { do: 'replay' | 'replaySubgraph' }>) {
    const id = this.ids.idOf(call.node)
    const replay_id = this.fresh('replay')
    return async () => {
      if (call.do === 'replaySubgraph') await this.ask('flow.replay', { id, replay_id })
      else {
        const { reopen = false } = call
        await this.ask('execution.replay', { id, replay_id, reopen })
      }
      return 'replayed'
    }
  }

  private operating(verb: 'stop' | 'resume' | 'block' | 'unblock' | 'revoke', id: string) {
    const resume_id = digestOf(this.fresh('resume'))
    const calls = {
      stop: () => this.ask('execution.cancel_by_operator', { id, why: 'enough' }),
      resume: () => this.ask('execution.resume', { id, resume_id, delay_ms: undefined }),
      block: () => this.ask('execution.block', { id, why: 'held' }),
      unblock: () => this.ask('execution.unblock', { id, why: 'held' }),
      revoke: () => this.ask('lease.revoke', { id, lease_id: undefined }),
    }
    return async () => {
      await calls[verb]()
      return 'done'
    }
  }

  private async giving(call: Extract<FlowCall, { do: Giving }>): Promise<() => Promise<Seen>> {
    const fence = await this.fenceOf(call.node)
    const digest = digestOf(this.fresh('d'))
    const join = call.do === 'wait' ? call.join : undefined
    const until_ms = this.store.nowMs() + pauseMs
    return async () => {
      await this.give(call.do, { ...fence, digest }, until_ms, join)
      return 'done'
    }
  }

  private give(verb: Giving, fence: Fence & { digest: string }, until_ms: number, join?: JoinPlan) {
    const failing = { failure: Buffer.from('failure'), random_ppm: 0 }
    switch (verb) {
      case 'complete':
        return this.ask('execution.complete', { ...fence, result: undefined })
      case 'fail':
        return this.ask('execution.fail', { ...fence, class: 'permanent', ...failing })
      case 'retry':
        return this.ask('execution.fail', { ...fence, class: 'transient', ...failing })
      case 'cancel':
        return this.ask('execution.cancel', { ...fence, why: 'enough' })
      case 'delay':
        return this.ask('execution.delay', { ...fence, until_ms })
      case 'suspend':
        return this.ask('execution.suspend', { ...fence, ...suspension(fence.digest) })
      case 'wait': {
        const { policy, k, impossible, collect } = join ?? {}
        const args = { policy, k, impossible, collect, seen: undefined }
        return this.ask('execution.wait_children', { ...fence, ...args })
      }
    }
  }
}

const publicStateOf = (leaf: string) => leafOf(leaf)?.public as NodeState

type Giving = 'complete' | 'fail' | 'retry' | 'cancel' | 'delay' | 'suspend' | 'wait'

/** On one waitpoint that nobody ever signals. */
function suspension(id: string) {
  return {
    suspension: id,
    points: `${id} key k1`,
    condition: 's 0 *',
    reason: 'waiting_for_signal',
    requested_by: 'worker',
    behaviour: 'fail',
    timeout_at: undefined,
    timeout_ms: undefined,
    resume_delay_ms: undefined,
    pointer: undefined,
  }
}

function viewOf(
  fields: Readonly<Record<string, string>>,
  members: readonly (readonly [string, string])[],
): FlowView {
  const counts: Partial<Record<NodeState, number>> = {}
  for (const state of nodeStates)
    if (Number(fields[state] ?? 0) !== 0) counts[state] = Number(fields[state])
  const state = fields.state as FlowState
  const policy = state === 'cancelled' ? fields.cancel_policy : undefined
  return {
    state,
    sealed: fields.sealed !== undefined,
    counts,
    spared: Number(fields.spared ?? 0),
    cancelPolicy: policy as FlowView['cancelPolicy'],
    nodes: Object.fromEntries(members.map(([name, leaf]) => [name, publicStateOf(leaf)])),
    held: members.flatMap(([name, leaf]) => (leaf === 'leased.held' ? name : [])).sort(),
  }
}

/** Waits cannot be signed without a key. */
export async function storeSubject(store: TimedStore): Promise<FlowSubject> {
  await store.call('keyring.seed', { kid: 'k1', secret: 's'.repeat(43) })
  return new StoreSubject(store)
}
