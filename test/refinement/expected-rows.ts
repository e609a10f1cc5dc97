// Every row that the exploration must go through, and why each of the others cannot be reached.
import { leafOf, lifecycleTable } from '../../src/machines/table.ts'

/** Leaves that only flows lead to, which are about several executions. */
const awaitedLeaves: ReadonlySet<string> = new Set(['waitingChildren', 'terminal.skipped'])

/** Events of flows, limits and budgets, which are about several executions. */
const awaitedEvents: ReadonlySet<string> = new Set([
  'waitChildren',
  'childrenSettled',
  'skip',
  'dependencyFailed',
  'withhold',
  'admit',
  'exhaust',
])

/** Ways out that no operation takes: the facts behind them cannot hold there. */
const unreachable: readonly { readonly why: string; readonly rows: RegExp }[] = [
  {
    why: 'what delays is parked, and nobody can block it while it is leased',
    rows: /^leased\.held delay → (?!delayed\.parked$|runnable\.resumed$)/,
  },
  {
    why: 'nobody can block what is suspended',
    rows: /^suspended (resume|lapse) → runnable\.blocked$/,
  },
  {
    why: 'the block is taken away before the work is placed',
    rows: /^runnable\.blocked unblock → runnable\.blocked$/,
  },
  {
    why: 'only what a limit withholds can be blocked once more',
    rows: /^runnable\.blocked block → runnable\.blocked$/,
  },
]

export const reachableLeaves: readonly string[] = lifecycleTable()
  .map(({ name }) => name)
  .filter((name) => !awaitedLeaves.has(name))

/** `leaf event → leaf` of every way of the lifecycle that an offered operation could take. */
const offeredTransitions: readonly string[] = reachableLeaves.flatMap((leaf) =>
  Object.entries(leafOf(leaf)?.on ?? {})
    .filter(([event]) => !awaitedEvents.has(event))
    .flatMap(([event, candidates]) =>
      candidates
        .filter(({ target }) => !awaitedLeaves.has(target))
        .map(({ target }) => `${leaf} ${event} → ${target}`),
    ),
)

/** Those of them that something can take. */
export const expectedTransitions: readonly string[] = offeredTransitions.filter(
  (row) => !unreachable.some(({ rows }) => rows.test(row)),
)

/** Reasons that exclude nothing any more. */
export const idleReasons: readonly string[] = unreachable
  .filter(({ rows }) => !offeredTransitions.some((row) => rows.test(row)))
  .map(({ why }) => why)

const fenced = ['execution_not_found', 'execution_not_active', 'stale_lease'] as const
const lost = ['lease_expired', 'lease_revoked'] as const
const settled = [...fenced, ...lost, 'already_settled'] as const

/** Every outcome and every refusal of each operation that works on one execution. */
export const expectedOutcomes: Readonly<Record<string, readonly string[]>> = {
  'execution.submit': ['submitted', 'duplicate', 'lane_closed'],
  'execution.complete': ['completed', ...settled],
  'execution.fail': ['retry_scheduled', 'failed', ...settled],
  'execution.cancel': ['cancelled', ...settled],
  'execution.delay': ['delayed', ...settled, 'invalid_input'],
  'execution.progress': ['progressed', ...fenced, ...lost],
  'execution.suspend': [
    'suspended',
    'satisfied',
    ...settled,
    'invalid_input',
    'invalid_resume_condition',
    'signing_key_replaced',
    'waitpoint_already_exists',
    'waitpoint_not_found',
    'waitpoint_not_pending',
    'pending_waitpoint_expired',
    'invalid_waitpoint_for_execution',
  ],
  'execution.resume': ['resumed', 'execution_not_found', 'execution_not_suspended'],
  'execution.block': ['blocked', 'execution_not_found', 'execution_not_eligible'],
  'execution.unblock': ['unblocked', 'execution_not_found', 'execution_not_eligible'],
  'execution.reprioritize': ['changed', 'execution_not_found', 'execution_not_eligible'],
  'execution.cancel_by_operator': ['cancelled', 'execution_not_found', 'execution_not_active'],
  'execution.replay': ['replayed', 'execution_not_found', 'execution_not_terminal'],
  'execution.purge': ['purged', 'absent', 'execution_not_terminal'],
  'execution.watch': ['ended', 'pending', 'execution_not_found'],
  'lane.set_state': ['changed'],
  'lease.check': ['held', ...fenced, ...lost],
  'lease.claim': ['claimed', 'empty'],
  'lease.find': ['found'],
  'lease.claim_granted': [
    'claimed',
    'execution_not_found',
    'execution_not_reclaimable',
    'execution_not_leaseable',
    'not_a_resumed_execution',
    'claim_grant_expired',
    'invalid_claim_grant',
  ],
  'lease.grant': [
    'granted',
    'execution_not_found',
    'execution_not_eligible',
    'execution_not_reclaimable',
    'grant_already_exists',
    'capability_mismatch',
  ],
  'lease.renew': ['renewed', ...fenced, ...lost],
  'lease.revoke': ['revoked', 'already_lost', ...fenced],
  'partition.suspended': ['listed'],
  'partition.sweep': ['swept'],
  'signal.deliver': [
    'accepted',
    'duplicate',
    'execution_not_found',
    'invalid_token',
    'invalid_input',
    'waitpoint_closed',
    'target_not_signalable',
  ],
  'signal.list': ['listed', 'absent'],
  'signal.observe': ['observed', 'execution_not_found'],
  'stream.append': ['appended', ...fenced, ...lost, 'frame_gap'],
  'stream.summarize': ['summarized', 'conflict', ...fenced, ...lost, 'frame_gap'],
  'stream.tail': ['found', 'execution_not_found'],
  'stream.read': ['found', 'execution_not_found'],
  'stream.summary': ['found', 'absent', 'execution_not_found'],
  'waitpoint.close': ['closed', ...fenced, ...lost, 'waitpoint_not_found'],
  'waitpoint.create': [
    'created',
    ...fenced,
    ...lost,
    'signing_key_replaced',
    'waitpoint_already_exists',
  ],
}
