// Parking a parent until its children have ended.
import type { Fact } from '../../../machines/facts.ts'
import type { Answer, Arguments } from '../../contract.ts'
import { type CallContext, refuse } from '../call-context.ts'
import { checkSettle, settle } from '../fence.ts'
import { finish } from '../finish.ts'
import { flowOf, isDoomed } from '../flow.ts'
import { gateFacts } from '../gates.ts'
import { type Group, groupOf, judge, nextRound, type Verdict } from '../group.ts'
import type { Execution } from '../record.ts'
import { applyEvent, commit } from '../transition.ts'

type Wait = Arguments<'execution.wait_children'>

const waitedBefore = (rest: string) =>
  ({ outcome: 'waiting', state: rest, replayed: true }) as const

/** How many children this round is about. */
function roundSize(call: CallContext, x: Execution): number {
  if (x.f.has_up === undefined) return 0
  const { hash } = groupOf(call, x.stored)
  const n = hash.number('n')
  if (hash.get('state') === 'pending') return n
  return n - hash.number('s') - hash.number('f') - hash.number('x')
}

/** Takes over how this round is joined, and begins it; only what is not yet seen counts. */
function beginRound(group: Group, { policy, k, collect, impossible }: Wait): void {
  const { hash } = group
  nextRound(group)
  if (policy === undefined) {
    // What nobody said means something else to a parent than to work that has not begun.
    hash.set('collect', hash.get('collect') ?? 'all')
    hash.set('impossible', hash.get('impossible') ?? 'resume')
    return
  }
  hash.set('policy', policy)
  hash.set('k', k)
  hash.set('collect', collect ?? 'all')
  hash.set('impossible', impossible ?? 'resume')
}

/** Whether children told of their end whom the parent has not seen: a new round drops them. */
function hasNews(call: CallContext, x: Execution, seen: number | undefined): boolean {
  if (seen === undefined || x.f.has_up === undefined) return false
  const { hash } = groupOf(call, x.stored)
  if (hash.get('state') === 'pending') return false
  const children = (x.stored.up?.length ?? 0) - hash.number('children_from')
  return children - roundSize(call, x) > seen
}

/** What its children say to a parent that wants to wait for them. */
function verdictOf(call: CallContext, x: Execution, args: Wait): Verdict | 'failed' {
  if (x.f.has_up === undefined) return 'satisfied'
  const group = groupOf(call, x.stored)
  beginRound(group, args)
  const { hash } = group
  const verdict = hash.number('n') === 0 ? 'satisfied' : judge(group)
  if (verdict !== 'pending') hash.set('state', verdict)
  return verdict === 'impossible' && hash.get('impossible') === 'fail' ? 'failed' : verdict
}

function park(call: CallContext, { f }: Execution): void {
  // The attempt's clock stands still while it waits.
  const deadlineAt = f.attempt_deadline_at
  if (deadlineAt !== undefined) f.attempt_left_ms = deadlineAt - call.nowMs
  f.parked = 1
}

export function waitChildren(call: CallContext, args: Wait): Answer<'execution.wait_children'> {
  const { policy, k, impossible } = args
  if ((policy === 'quorum') !== (k !== undefined) || impossible === 'skip') {
    return refuse('invalid_input', { argument: 'join', why: 'cannot be waited for' })
  }
  const checked = checkSettle(call, 'wait_children', args, waitedBefore)
  if ('answer' in checked) return checked.answer
  const { x } = checked
  const isNews = hasNews(call, x, args.seen)
  const size = roundSize(call, x)
  if (!isNews && k !== undefined && size > 0 && k > size) {
    return refuse('quorum_unreachable', { execution: x.id, k: String(k), n: String(size) })
  }
  const verdict = isNews ? 'satisfied' : verdictOf(call, x, args)
  park(call, x)
  x.f.deps = verdict === 'pending' || verdict === 'failed' ? 1 : undefined
  applyEvent(x, 'waitChildren', gateFacts(call, x) as ReadonlySet<Fact>)
  // Whether its children or the cascade end it must not depend on who comes first.
  const fails = verdict === 'failed' && !isDoomed(flowOf(call, x), x)
  if (fails) applyEvent(x, 'dependencyFailed')
  const { state } = x.f
  settle(x, 'wait_children', args.digest, state)
  if (fails) finish(call, x, 'dependency_failed', undefined)
  else commit(call, x)
  return { outcome: 'waiting', state, replayed: false }
}
