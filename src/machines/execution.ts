// The lifecycle of one execution: every situation it can be in and every event that moves it.
//
// The machine is hierarchical, without context, parallel regions or actions. A guard is the name
// of a fact; whoever sends the event says which facts hold. The stored row, the index and the
// public state of each leaf stand in its `meta`; everything else about the lifecycle is generated.
import { setup } from 'xstate'
import type { Fact } from './facts.ts'

/** What a leaf says about the execution that is in it. */
export interface LeafMeta {
  /** The one index that holds the execution while it is in this leaf; none before it exists. */
  readonly index: IndexName | 'none'
  /** What people see. */
  readonly public: PublicState
  /** Where the current attempt stands. */
  readonly attempt: 'none' | 'pending' | 'running' | 'interrupted' | 'ended'
}

export type IndexName =
  | 'ready'
  | 'resumed'
  | 'reclaimable'
  | 'leased'
  | 'delayed'
  | 'blocked'
  | 'suspended'
  | 'waiting'
  | 'terminal'

export type PublicState =
  | 'absent'
  | 'waiting'
  | 'blocked'
  | 'delayed'
  | 'waiting_children'
  | 'active'
  | 'suspended'
  | 'completed'
  | 'failed'
  | 'cancelled'
  | 'expired'
  | 'skipped'

export type ExecutionEvent = { readonly type: ExecutionEventName; readonly facts: readonly Fact[] }

export type ExecutionEventName =
  | 'submit'
  | 'claim'
  | 'renew'
  | 'progress'
  | 'complete'
  | 'fail'
  | 'cancel'
  | 'delay'
  | 'suspend'
  | 'waitChildren'
  | 'loseLease'
  | 'revokeLease'
  | 'timeOut'
  | 'promote'
  | 'resume'
  | 'lapse'
  | 'childrenSettled'
  | 'dependencyFailed'
  | 'block'
  | 'unblock'
  | 'withhold'
  | 'admit'
  | 'exhaust'
  | 'reprioritize'
  | 'cancelExecution'
  | 'expire'
  | 'skip'
  | 'replay'

const holds = (fact: Fact) => ({ guard: fact })

const gate = {
  operator: { target: '#execution.runnable.blocked', ...holds('heldByOperator') },
  dependencies: { target: '#execution.waitingChildren', ...holds('heldByDependencies') },
  start: { target: '#execution.delayed.start', ...holds('notDueStart') },
  retry: { target: '#execution.delayed.retry', ...holds('notDueRetry') },
  parked: { target: '#execution.delayed.parked', ...holds('notDueParked') },
} as const

const ready = { target: '#execution.runnable.ready' } as const
const resumed = { target: '#execution.runnable.resumed' } as const

/**
 * The placement rule: where work that is not under a lease belongs. The highest closed gate wins,
 * so that opening one gate never loses another. New, parked and replayed work cannot meet every
 * gate.
 */
const placement = {
  fresh: [gate.dependencies, gate.start, ready],
  parked: [gate.operator, gate.dependencies, gate.parked, resumed],
  replayed: [gate.dependencies, ready],
  any: [
    gate.operator,
    gate.dependencies,
    gate.start,
    gate.retry,
    gate.parked,
    { ...resumed, ...holds('parked') },
    ready,
  ],
} as const

/** A retry waits for its backoff; without one left, the given ending is final. */
const retryOr = (ending: 'failed' | 'expired') =>
  [
    { target: '#execution.delayed.retry', ...holds('retryLeft') },
    { target: `#execution.terminal.${ending}` },
  ] as const

/** A lost lease lets somebody else reclaim the work, unless that happened too often. */
const reclaimOr = (leaf: 'expired' | 'revoked') =>
  [
    { target: '#execution.terminal.failed', ...holds('reclaimsExhausted') },
    { target: `#execution.leased.${leaf}` },
  ] as const

/** What a suspension's time limit does, as its worker asked; without a wish the work goes on. */
const late = [
  { target: '#execution.terminal.failed', ...holds('failsWhenLate') },
  { target: '#execution.terminal.cancelled', ...holds('cancelsWhenLate') },
  { target: '#execution.terminal.expired', ...holds('expiresWhenLate') },
  { target: '#execution.suspended', ...holds('escalatesWhenLate') },
  ...placement.parked,
] as const

const leaf = (
  index: LeafMeta['index'],
  publicState: PublicState,
  attempt: LeafMeta['attempt'],
): LeafMeta => ({ index, public: publicState, attempt })

/** Operators and clocks can end anything that has not ended. */
const ending = {
  cancelExecution: { target: '#execution.terminal.cancelled' },
  expire: { target: '#execution.terminal.expired' },
  skip: { target: '#execution.terminal.skipped' },
} as const

/** What can happen to work that a claim would take. */
const claimable = {
  claim: '#execution.leased.held',
  block: '#execution.runnable.blocked',
  withhold: '#execution.runnable.blocked',
  exhaust: '#execution.terminal.failed',
} as const

/** The lifecycle machine; see `docs/reference/lifecycle.md`, which is generated from it. */
export const executionMachine = setup({
  types: {} as { events: ExecutionEvent; meta: LeafMeta },
  guards: factGuards(),
}).createMachine({
  id: 'execution',
  initial: 'absent',
  states: {
    absent: { meta: leaf('none', 'absent', 'none'), on: { submit: placement.fresh } },
    runnable: {
      initial: 'ready',
      on: { ...ending, reprioritize: {} },
      states: {
        ready: {
          meta: leaf('ready', 'waiting', 'pending'),
          description: 'Claimable: the next claim starts an attempt.',
          on: claimable,
        },
        resumed: {
          meta: leaf('resumed', 'waiting', 'interrupted'),
          description: 'Claimable: the next claim continues the interrupted attempt.',
          on: claimable,
        },
        blocked: {
          meta: leaf('blocked', 'blocked', 'pending'),
          description:
            'Held back by an operator, by its flow, or until a limit or a budget has room.',
          on: {
            unblock: placement.any,
            admit: placement.any,
            block: 'blocked',
            dependencyFailed: '#execution.terminal.failed',
          },
        },
      },
    },
    leased: {
      initial: 'held',
      on: ending,
      states: {
        held: {
          meta: leaf('leased', 'active', 'running'),
          description: 'A worker owns it until the lease runs out.',
          on: {
            renew: {},
            progress: {},
            complete: '#execution.terminal.completed',
            fail: retryOr('failed'),
            cancel: '#execution.terminal.cancelled',
            delay: placement.parked,
            suspend: '#execution.suspended',
            waitChildren: placement.parked,
            loseLease: reclaimOr('expired'),
            revokeLease: reclaimOr('revoked'),
            timeOut: retryOr('expired'),
          },
        },
        expired: {
          meta: leaf('reclaimable', 'active', 'interrupted'),
          description: 'The lease ran out; a claim starts a new attempt.',
          on: { claim: 'held' },
        },
        revoked: {
          meta: leaf('reclaimable', 'active', 'interrupted'),
          description: 'An operator took the lease away; a claim starts a new attempt.',
          on: { claim: 'held' },
        },
      },
    },
    suspended: {
      meta: leaf('suspended', 'suspended', 'interrupted'),
      description: 'Waits for signals.',
      on: { ...ending, resume: placement.parked, lapse: late },
    },
    delayed: {
      initial: 'start',
      on: { ...ending, reprioritize: {}, block: '#execution.runnable.blocked' },
      states: {
        start: {
          meta: leaf('delayed', 'delayed', 'pending'),
          description: 'Must not start before a time.',
          on: { promote: '#execution.runnable.ready' },
        },
        retry: {
          meta: leaf('delayed', 'delayed', 'pending'),
          description: 'Waits out the backoff before its next attempt.',
          on: { promote: '#execution.runnable.ready' },
        },
        parked: {
          meta: leaf('delayed', 'delayed', 'interrupted'),
          description: 'Its worker asked to continue later.',
          on: { promote: '#execution.runnable.resumed' },
        },
      },
    },
    waitingChildren: {
      meta: leaf('waiting', 'waiting_children', 'interrupted'),
      description: 'Waits for its inbound edges.',
      on: {
        ...ending,
        reprioritize: {},
        block: '#execution.runnable.blocked',
        childrenSettled: placement.any,
        dependencyFailed: '#execution.terminal.failed',
      },
    },
    terminal: {
      initial: 'completed',
      on: { replay: placement.replayed },
      states: {
        completed: { meta: leaf('terminal', 'completed', 'ended') },
        failed: { meta: leaf('terminal', 'failed', 'ended') },
        cancelled: { meta: leaf('terminal', 'cancelled', 'ended') },
        expired: { meta: leaf('terminal', 'expired', 'ended') },
        skipped: { meta: leaf('terminal', 'skipped', 'ended') },
      },
    },
  },
})

/** One guard per fact: it holds when the event brought the fact. */
function factGuards() {
  const guard =
    (fact: Fact) =>
    ({ event }: { event: ExecutionEvent }) =>
      event.facts.includes(fact)
  return {
    heldByOperator: guard('heldByOperator'),
    heldByDependencies: guard('heldByDependencies'),
    notDueStart: guard('notDueStart'),
    notDueRetry: guard('notDueRetry'),
    notDueParked: guard('notDueParked'),
    parked: guard('parked'),
    retryLeft: guard('retryLeft'),
    reclaimsExhausted: guard('reclaimsExhausted'),
    failsWhenLate: guard('failsWhenLate'),
    cancelsWhenLate: guard('cancelsWhenLate'),
    expiresWhenLate: guard('expiresWhenLate'),
    escalatesWhenLate: guard('escalatesWhenLate'),
  } satisfies Record<Fact, unknown>
}
