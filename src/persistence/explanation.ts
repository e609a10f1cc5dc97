// Why an execution does not run, and what would make it run: as data, and in a sentence.
import type { ExecutionId } from '../ids.ts'
import type { EdgeSnapshot, EngineBackend, ExecutionSnapshot, LaneState } from './backend.ts'

/** One thing that is in the way, or that somebody has to do. */
export type ExplanationReason =
  | { readonly kind: 'ended'; readonly state: string; readonly reason: string | undefined }
  | { readonly kind: 'running'; readonly worker: string; readonly expiresAtMs: number }
  | { readonly kind: 'lost_lease'; readonly how: 'expired' | 'revoked' }
  | { readonly kind: 'flow'; readonly flowId: string; readonly policy: string }
  | { readonly kind: 'operator'; readonly reason: string }
  | {
      readonly kind: 'dependencies'
      readonly policy: string
      readonly total: number
      readonly satisfied: number
      /** Whether more inbound edges may be added before anything is decided. */
      readonly held: boolean
      /** The first upstreams that have not ended; at most ten. */
      readonly upstreams: readonly ExecutionId[]
    }
  | { readonly kind: 'time'; readonly atMs: number; readonly retry: boolean }
  | {
      readonly kind: 'signal'
      readonly reason: string
      readonly waitpointIds: readonly string[]
      readonly timeoutAtMs: number | undefined
    }
  | { readonly kind: 'budget'; readonly budgets: readonly string[] }
  | { readonly kind: 'limit'; readonly name: string; readonly key: string | undefined }
  | { readonly kind: 'lane'; readonly lane: string; readonly state: LaneState }
  | { readonly kind: 'grant'; readonly worker: string; readonly untilMs: number }
  | { readonly kind: 'worker'; readonly lane: string; readonly capabilities: readonly string[] }

export interface Explanation {
  readonly executionId: ExecutionId
  readonly state: string
  /** What is in the way now, the one that decides first; more may stand behind it. */
  readonly reasons: readonly ExplanationReason[]
  /** The same for people. */
  readonly text: string
}

type ReadBackend = Pick<
  EngineBackend,
  'describeExecution' | 'describeFlow' | 'describeBudget' | 'listEdges' | 'listLanes'
>

const namedMax = 10

/**
 * Why the execution does not run, or undefined when there is none. What it looks at is read in
 * several steps: under load the answer may join moments that are a few milliseconds apart.
 */
export async function explainExecution(
  backend: ReadBackend,
  id: ExecutionId,
): Promise<Explanation | undefined> {
  const x = await backend.describeExecution(id)
  if (x === undefined) return undefined
  const reasons = settledReason(x) ?? (await openReasons(backend, x))
  return { executionId: id, state: x.state, reasons, text: reasons.map(sentenceOf).join(' ') }
}

/** Of what has ended or runs there is nothing else to say. */
function settledReason(x: ExecutionSnapshot): readonly ExplanationReason[] | undefined {
  if (x.endedAtMs !== undefined) {
    return [{ kind: 'ended', state: x.publicState, reason: x.reason }]
  }
  const { currentLease: lease } = x
  if (lease === undefined) return undefined
  return [{ kind: 'running', worker: lease.worker, expiresAtMs: lease.expiresAtMs }]
}

async function openReasons(
  backend: ReadBackend,
  x: ExecutionSnapshot,
): Promise<readonly ExplanationReason[]> {
  const found: ExplanationReason[] = []
  found.push(...(await flowReasons(backend, x)))
  if (x.blockedBy !== undefined) found.push({ kind: 'operator', reason: x.blockedBy })
  if (x.state === 'suspended' && x.suspension !== undefined) {
    const { reason, waitpointIds, timeoutAtMs } = x.suspension
    found.push({ kind: 'signal', reason, waitpointIds, timeoutAtMs })
  }
  found.push(...(await dependencyReasons(backend, x)))
  if (x.startsAtMs !== undefined) {
    found.push({ kind: 'time', atMs: x.startsAtMs, retry: x.state === 'delayed.retry' })
  }
  if (x.withheldBy === 'budget') found.push(await budgetReason(backend, x))
  if (x.withheldBy === 'limit' && x.limit !== undefined) {
    found.push({ kind: 'limit', name: x.limit.name, key: x.limit.key })
  }
  const isLost = x.state === 'leased.expired' || x.state === 'leased.revoked'
  if (isLost) {
    found.push({ kind: 'lost_lease', how: x.state === 'leased.expired' ? 'expired' : 'revoked' })
  }
  if (x.grant !== undefined) found.push({ kind: 'grant', ...x.grant })
  found.push(...(await laneReasons(backend, x)))
  if (found.length > 0 && !isLost) return found
  return [...found, { kind: 'worker', lane: x.lane, capabilities: x.capabilities }]
}

async function flowReasons(
  backend: ReadBackend,
  { flowId }: ExecutionSnapshot,
): Promise<ExplanationReason[]> {
  const flow = flowId === undefined ? undefined : await backend.describeFlow(flowId)
  if (flow?.cancelPolicy === undefined) return []
  return [{ kind: 'flow', flowId: flow.flowId, policy: flow.cancelPolicy }]
}

async function dependencyReasons(
  backend: ReadBackend,
  { executionId, flowId, gated, group }: ExecutionSnapshot,
): Promise<ExplanationReason[]> {
  if (!gated || group === undefined || flowId === undefined) return []
  const edges = await backend.listEdges(flowId, { incoming: executionId })
  const open = edges.filter(({ state }: EdgeSnapshot) => state === 'pending')
  return [
    {
      kind: 'dependencies',
      policy: group.policy === 'quorum' ? `${group.k} of` : group.policy,
      total: group.total,
      satisfied: group.satisfied,
      held: !group.sealed,
      upstreams: open.slice(0, namedMax).map(({ upstream }) => upstream),
    },
  ]
}

async function budgetReason(
  backend: ReadBackend,
  { budgets }: ExecutionSnapshot,
): Promise<ExplanationReason> {
  const found = await Promise.all(budgets.map((id) => backend.describeBudget(id)))
  const exhausted = found.flatMap((budget) => (budget?.exhausted ? [budget.budgetId] : []))
  return { kind: 'budget', budgets: exhausted.length > 0 ? exhausted : budgets }
}

async function laneReasons(
  backend: ReadBackend,
  { lane }: ExecutionSnapshot,
): Promise<ExplanationReason[]> {
  const { items } = await backend.listLanes(undefined, Number.MAX_SAFE_INTEGER)
  const state = items.find((summary) => summary.lane === lane)?.state
  return state === 'paused' ? [{ kind: 'lane', lane, state }] : []
}

const time = (atMs: number): string => new Date(atMs).toISOString()
const inBrackets = (reason: string | undefined) => (reason === undefined ? '' : ` (${reason})`)

const sentences: {
  readonly [Kind in ExplanationReason['kind']]: (
    reason: Extract<ExplanationReason, { kind: Kind }>,
  ) => string
} = {
  ended: ({ state, reason }) =>
    `It has ended as ${state}${inBrackets(reason)}; replay it to run again.`,
  running: ({ worker, expiresAtMs }) =>
    `It runs on ${worker}, under a lease until ${time(expiresAtMs)}.`,
  lost_lease: ({ how }) =>
    how === 'expired'
      ? 'Its lease ran out; the next claim of any worker that fits takes it up again.'
      : 'Its lease was revoked; the next claim of any worker that fits takes it up again.',
  flow: ({ flowId, policy }) => `Its flow ${flowId} was cancelled (${policy}): it will not run.`,
  operator: ({ reason }) => `An operator blocked it (${reason}); unblock it for that reason.`,
  dependencies: ({ policy, total, satisfied, held, upstreams }) =>
    held
      ? 'It is held until its inbound edges are sealed.'
      : `It waits for ${policy} ${total} of its upstreams, ${satisfied} of them satisfied; ` +
        `not ended: ${upstreams.join(', ') || 'none'}.`,
  time: ({ atMs, retry }) =>
    retry ? `It is tried again at ${time(atMs)}.` : `It must not run before ${time(atMs)}.`,
  signal: ({ reason, timeoutAtMs }) =>
    `It is suspended (${reason}) until it is signalled${
      timeoutAtMs === undefined ? '' : `, or until ${time(timeoutAtMs)}`
    }.`,
  budget: ({ budgets }) =>
    `Used up: budget ${budgets.join(', ')}; raise or reset it, or wait for its reset.`,
  limit: ({ name, key }) =>
    `The limit ${name}${key === undefined ? '' : ` of ${key}`} has no room now.`,
  lane: ({ lane }) => `The lane ${lane} is paused; resume it.`,
  grant: ({ worker, untilMs }) => `It is reserved for ${worker} until ${time(untilMs)}.`,
  worker: ({ lane, capabilities }) =>
    `It waits for a worker of lane ${lane}${
      capabilities.length === 0 ? '' : ` that offers ${capabilities.join(', ')}`
    }.`,
}

function sentenceOf(reason: ExplanationReason): string {
  const write = sentences[reason.kind] as (reason: ExplanationReason) => string
  return write(reason)
}
