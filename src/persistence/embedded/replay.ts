// Running ended executions again; the twin of lua/lib/replay.lua.
import { counts as limits } from '../../limits.ts'
import type { Answer, Refusal } from '../contract.ts'
import { type CallContext, refuse } from './call-context.ts'
import { settleGroup, voteNow, walk } from './dependents.ts'
import { flowOf, flowState, reopenFlow } from './flow.ts'
import { gateFacts } from './gates.ts'
import {
  type Counts,
  castVote,
  type Group,
  groupOf,
  judge,
  requireEdge,
  restoreGroup,
  type Verdict,
  type Vote,
} from './group.ts'
import { logLastAttempt } from './lease.ts'
import type { Execution, StoredExecution } from './record.ts'
import { accepts, applyEvent, commit } from './transition.ts'

interface Recount {
  readonly group: Group
  readonly votes: ReadonlyMap<string, Vote>
  readonly counts: Counts
  readonly says: Verdict | 'resumed'
}

/** Votes and counts of a group as its upstreams stand now. */
function recount({ keyspace }: CallContext, group: Group): Recount {
  const votes = new Map<string, Vote>()
  const counts: Counts = { n: 0, s: 0, f: 0, x: 0 }
  for (const id of group.stored.up ?? []) {
    const vote = voteNow(requireEdge(group, id).kind, keyspace.executions.get(id))
    votes.set(id, vote)
    counts.n += 1
    if (vote !== 'u') counts[vote] += 1
  }
  // Held work may not run before somebody has sealed its edges, however it ended.
  const isSealed = group.hash.get('sealed') !== undefined
  const verdict = isSealed ? judge(group, counts) : 'pending'
  // It starts all the same, as it did the first time.
  const isResumed = verdict === 'impossible' && group.hash.get('impossible') === 'resume'
  return { group, votes, counts, says: isResumed ? 'resumed' : verdict }
}

/**
 * What the inbound edges say to running again; undefined when they have no say: a parent's own
 * children do not hold it.
 */
function verdictOf(call: CallContext, x: Execution): Recount | undefined {
  if (x.f.has_up === undefined) return undefined
  const group = groupOf(call, x.stored)
  return group.hash.get('dynamic') === undefined ? recount(call, group) : undefined
}

type Checked = { readonly refusal: Refusal } | { readonly verdict: Recount | undefined }

function check(call: CallContext, x: Execution, reopens: boolean): Checked {
  const { f } = x
  if (!accepts(x, 'replay')) {
    return { refusal: refuse('execution_not_terminal', { state: f.state }) }
  }
  const replays = f.replays ?? 0
  if (replays >= limits.replaysMax) {
    return { refusal: refuse('max_replays_exhausted', { replays: String(replays) }) }
  }
  if (f.flow !== undefined) {
    const flow = flowOf(call, x)
    const state = flowState(flow)
    const isClosed = state === 'cancelled' || (state !== 'open' && !reopens)
    if (isClosed || flow.hash.get('retiring') !== undefined) {
      return { refusal: refuse('flow_ended', { flow: f.flow, state }) }
    }
  }
  const verdict = verdictOf(call, x)
  return verdict?.says === 'impossible'
    ? { refusal: refuse('dependency_failed', { execution: x.id }) }
    : { verdict }
}

/** What of the flow and the edges changes before the execution is placed anew. */
function rejoin(call: CallContext, x: Execution, verdict: Recount | undefined): void {
  const flow = flowOf(call, x)
  reopenFlow(call, flow)
  if (x.f.reason === 'no_longer_needed') flow.hash.add('spared', -1)
  if (verdict === undefined) return
  restoreGroup(verdict.group, verdict.votes, verdict.counts)
  if (verdict.says === 'pending') {
    x.f.deps = 1
    return
  }
  const { hash } = verdict.group
  hash.set('state', verdict.says === 'resumed' ? 'impossible' : verdict.says)
  if (hash.get('remaining') === 'cancel') call.backlog.push(`spare ${x.id} 0`)
}

function forgetEnding({ f }: Execution): void {
  f.class = undefined
  f.ended_at = undefined
  f.progress = undefined
  f.reason = undefined
  f.reclaims = undefined
  f.retries = undefined
}

function perform(
  call: CallContext,
  x: Execution,
  replayId: string | undefined,
  verdict: Recount | undefined,
): void {
  const { f } = x
  const { keyspace, nowMs } = call
  const how = f.state.replace('terminal.', '')
  if (f.flow !== undefined) rejoin(call, x, verdict)
  applyEvent(x, 'replay', gateFacts(call, x))
  if (f.attempt !== undefined) {
    logLastAttempt(keyspace, x, how)
    f.replaying = 1
  }
  forgetEnding(x)
  if (f.noted !== undefined) {
    f.noted = undefined
    keyspace.storeNote(x.stored, undefined)
  }
  f.replays = (f.replays ?? 0) + 1
  f.replay_id = replayId
  if (f.deadline_at !== undefined && f.deadline_at <= nowMs) f.deadline_at = undefined
  keyspace.storeEnding(x.stored, undefined)
  commit(call, x)
}

/** What becomes of those that depend on it: its vote is taken back, or they run again too. */
export type Reach = 'take_back' | 'rerun'

/** Runs an execution again. */
export function runAgain(
  call: CallContext,
  args: { readonly id: string; readonly replay_id: string; readonly reopen: boolean },
  reach: Reach,
): Answer<'execution.replay'> {
  const x = call.keyspace.load(args.id)
  if (x === undefined) return refuse('execution_not_found')
  if (x.f.replay_id === args.replay_id) {
    // The same request again, after its answer was lost.
    return { outcome: 'replayed', state: x.f.state, replays: x.f.replays ?? 0, repeated: true }
  }
  const checked = check(call, x, args.reopen)
  if ('refusal' in checked) return checked.refusal
  perform(call, x, args.replay_id, checked.verdict)
  const { state, replays = 0, has_down: hasDown } = x.f
  if (hasDown !== undefined) call.backlog.push(`recount ${x.id} 0 ${reach}`)
  return { outcome: 'replayed', state, replays, repeated: false }
}

/** Runs again what was given up because of a dependency, unless another still stands against it. */
function rerun(call: CallContext, x: Execution, replayId: string | undefined): void {
  const checked = check(call, x, true)
  if ('refusal' in checked) return
  const { has_down: hasDown } = x.f
  perform(call, x, replayId, checked.verdict)
  if (hasDown !== undefined) call.backlog.push(`recount ${x.id} 0 rerun`)
}

/**
 * What the edge from an upstream that runs again says now. The votes of others are theirs to take
 * back.
 */
function takeBack(call: CallContext, x: Execution, upstream: StoredExecution): void {
  const group = groupOf(call, x.stored)
  const { hash } = group
  const isParent = hash.get('dynamic') !== undefined || hash.get('later_round') !== undefined
  if (hash.get('state') !== 'pending' || isParent) return
  const edge = requireEdge(group, upstream.id)
  castVote(group, edge, voteNow(edge.kind, upstream))
  settleGroup(call, group)
}

/** Those that depend on an execution that runs again. */
export function recountDependents(call: CallContext, words: readonly string[]): number {
  const [, id = '', , reach] = words
  const upstream = call.keyspace.executions.get(id)
  if (upstream === undefined) return 1
  return walk(call, upstream.down ?? [], words, 2, (downstream) => {
    const x = call.keyspace.load(downstream)
    if (x === undefined) return undefined
    if (x.f.ended_at === undefined) takeBack(call, x, upstream)
    else if (reach === 'rerun' && x.f.reason === 'dependency_failed') {
      rerun(call, x, upstream.fields.replay_id)
      // All that it depends on is looked at.
      return 1 + groupOf(call, x.stored).hash.number('n')
    }
    return undefined
  })
}
