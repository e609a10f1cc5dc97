// Flows: what a graph of executions has come to; the twin of lua/lib/flow.lua.
import { EngineError, invariant } from '../../errors.ts'
import { defaults } from '../../limits.ts'
import type { Leaf } from '../../machines/table.ts'
import type { Arguments } from '../contract.ts'
import type { CallContext } from './call-context.ts'
import type { Hash } from './hash.ts'
import type { Execution } from './record.ts'

/** A flow in the hands of an operation. */
export interface Flow {
  readonly id: string
  readonly hash: Hash
}

export function loadFlow({ keyspace }: CallContext, id: string): Flow | undefined {
  const hash = keyspace.flows.get(id)
  return hash === undefined ? undefined : { id, hash }
}

export function flowOf(call: CallContext, x: Execution): Flow {
  const flow = x.f.flow === undefined ? undefined : loadFlow(call, x.f.flow)
  if (flow === undefined) {
    throw new EngineError('invariant_broken', `${x.id} belongs to flow ${x.f.flow}, which is gone`)
  }
  return flow
}

/** A flow that is not there: nothing of it is stored before `createFlow`. */
export function absentFlow({ keyspace }: CallContext, id: string): Flow {
  return { id, hash: keyspace.flows.hash(id) }
}

const wishes = ['kind', 'failure', 'completion', 'root', 'retention_ms'] as const

type Beginning = Pick<Arguments<'flow.apply'>, (typeof wishes)[number] | 'tags'>

/** Whether a caller says anything of how a flow begins. */
export function isTold(args: Beginning): boolean {
  return args.tags !== undefined || wishes.some((name) => args[name] !== undefined)
}

/** The first of a caller's wishes that the flow does not fulfil, if any. */
export function differing(
  { keyspace }: CallContext,
  { id, hash }: Flow,
  args: Beginning,
): string | undefined {
  const name = wishes.find((wish) => {
    const wished = args[wish]
    return (wished === undefined ? undefined : String(wished)) !== hash.get(wish)
  })
  return name ?? (keyspace.flows.tags.get(id) === args.tags ? undefined : 'tags')
}

export function createFlow(
  { keyspace, nowMs }: CallContext,
  { id, hash }: Flow,
  args: Beginning,
): void {
  keyspace.flows.create(id, args.tags)
  for (const name of wishes) hash.set(name, args[name])
  hash.set('state', 'open')
  hash.set('created_at', nowMs)
  hash.set('updated_at', nowMs)
}

export function flowState({ hash }: Flow): string {
  const state = hash.get('state')
  invariant(state !== undefined, 'a flow has no state')
  return state
}

/** How many members have not ended. */
export function unfinished({ hash }: Flow): number {
  const ended = ['completed', 'failed', 'cancelled', 'expired', 'skipped']
  return ended.reduce((left, name) => left - hash.number(name), hash.number('members'))
}

function outcome({ keyspace }: CallContext, { hash }: Flow): string {
  const root = hash.get('root')
  if (hash.get('completion') === 'root' && root !== undefined) {
    const state = keyspace.executions.get(root)?.fields.state
    return state === 'terminal.completed' ? 'completed' : 'failed'
  }
  const cancelled = hash.number('cancelled') - hash.number('spared')
  return hash.number('failed') + hash.number('expired') + cancelled > 0 ? 'failed' : 'completed'
}

/** Ends the flow; members that are left are somebody else's to end. */
export function finishFlow(
  call: CallContext,
  { id, hash }: Flow,
  state: string,
  reason: string | undefined,
): void {
  hash.set('state', state)
  hash.set('reason', reason)
  hash.set('ended_at', call.nowMs)
  hash.set('updated_at', call.nowMs)
  call.feed.flow(id, 'endFlow', state, reason)
}

/**
 * Ends an open, sealed flow whose members have all ended. An ended one is kept from then on for
 * its retention.
 */
export function decideFlow(call: CallContext, flow: Flow): void {
  const { hash } = flow
  if (unfinished(flow) > 0) return
  if (flowState(flow) === 'open') {
    if (hash.get('sealed') === undefined || hash.number('members') === 0) return
    finishFlow(call, flow, outcome(call, flow), undefined)
  }
  call.keyspace.flows.setEnd(flow.id, call.nowMs + retentionMs(call, flow))
}

/** A flow that is about its root is kept for as long as that wishes. */
function retentionMs(call: CallContext, { hash }: Flow): number {
  const own = hash.get('retention_ms')
  if (own !== undefined) return Number(own)
  const root = hash.get('completion') === 'root' ? hash.get('root') : undefined
  const { fields } = call.keyspace.executions.get(String(root)) ?? {}
  return fields?.retention_ms ?? defaults.retentionMs
}

function isBad({ f }: Execution, publicState: string): boolean {
  if (publicState === 'cancelled') return f.reason !== 'no_longer_needed'
  return publicState === 'failed' || publicState === 'expired'
}

function memberEnded(call: CallContext, flow: Flow, x: Execution, publicState: string): void {
  const { hash } = flow
  if (publicState === 'cancelled' && x.f.reason === 'no_longer_needed') hash.add('spared', 1)
  const isFailFast = flowState(flow) === 'open' && hash.get('failure') === 'fail_fast'
  if (isFailFast && isBad(x, publicState)) {
    finishFlow(call, flow, 'failed', 'member_failed')
    doomFlow(call, flow, 'cancel_all')
  }
  decideFlow(call, flow)
}

/** Counts a member's move between two leaves of the lifecycle. */
export function memberMoved(call: CallContext, x: Execution, from: Leaf, to: Leaf): void {
  const flow = flowOf(call, x)
  const { hash } = flow
  if (from.index !== 'none') hash.add(from.public, -1)
  hash.add(to.public, 1)
  hash.set('updated_at', call.nowMs)
  if (to.index === 'terminal') memberEnded(call, flow, x, to.public)
  else if (isDoomed(flow, x)) call.backlog.push(`doomed ${x.id}`)
}

/** Lets a cascade cancel what the policy says. */
export function doomFlow(call: CallContext, { id, hash }: Flow, policy: string): void {
  hash.set('cancel_policy', policy)
  hash.set('cancelling', 1)
  call.backlog.push(`cascade ${id} ${policy}`)
}

/** Whether the flow's end means the end of this unfinished member. */
export function isDoomed({ hash }: Flow, { f }: Execution): boolean {
  const policy = hash.get('cancel_policy')
  return policy === 'cancel_all' || (policy === 'cancel_pending' && f.state !== 'leased.held')
}

/** Whether the member's flow wants its work to end: nothing of it is tried again. */
export function barsRetry(call: CallContext, x: Execution): boolean {
  if (x.f.flow === undefined) return false
  const policy = flowOf(call, x).hash.get('cancel_policy')
  return policy !== undefined && policy !== 'flow_only'
}

/** Whether the member's flow was cancelled or has failed: nothing of it may start. */
export function isFlowOver(call: CallContext, x: Execution): boolean {
  return x.f.flow !== undefined && flowOf(call, x).hash.get('cancel_policy') !== undefined
}

/** Makes an ended flow open again because a member is run again. */
export function reopenFlow(call: CallContext, flow: Flow): void {
  const { id, hash } = flow
  if (flowState(flow) !== 'open') {
    hash.set('state', 'open')
    hash.set('reason', undefined)
    hash.set('ended_at', undefined)
    hash.set('cancel_policy', undefined)
    hash.set('cancelling', undefined)
    call.feed.flow(id, 'reopenFlow', 'open', undefined)
  }
  hash.set('updated_at', call.nowMs)
  call.keyspace.flows.setEnd(id, undefined)
}
