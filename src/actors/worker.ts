// A worker process: claims while it works, drains when it is told to stop.
import { assign, fromPromise, setup } from 'xstate'
import type { CapabilitySet, EngineBackend } from '../persistence/backend.ts'
import type { AttemptPool } from './attempt-pool.ts'
import { pause } from './pause.ts'
import { type Loop, supervisedMachine } from './supervised.ts'

export interface WorkerInput {
  readonly backend: Pick<EngineBackend, 'claim' | 'onLeaseLost'>
  readonly pool: AttemptPool
  readonly worker: string
  readonly lanes: readonly string[]
  readonly capabilities: CapabilitySet
  readonly leaseMs: number
  readonly onError: (error: unknown) => void
}

const claimWaitMs = 30_000
/** More than this in one claim would hold a server up for others. */
const claimCountMax = 64

function claimLoop({ backend, pool, worker, lanes, capabilities, leaseMs }: WorkerInput): Loop {
  return async (signal) => {
    while (!signal.aborted) {
      await pool.whenFree(signal)
      // Attempts that end in this very tick free their slots first, so that one claim fills all,
      // and travels with what those attempts report.
      await new Promise<void>((resolve) => process.nextTick(resolve))
      if (signal.aborted) return
      const count = Math.min(pool.free, claimCountMax)
      const policy = { worker, leaseMs, count, maxWaitMs: claimWaitMs, signal }
      await pool.take(backend.claim(lanes, capabilities, policy), signal)
    }
  }
}

/** Renews at a third of the lease, so that two renewals may fail before it lapses. */
function renewLoop({ pool, leaseMs }: WorkerInput): Loop {
  return async (signal) => {
    while (!signal.aborted) {
      await pause(leaseMs / 3, signal)
      if (!signal.aborted) await pool.renewAll()
    }
  }
}

/** Notices lapsed leases on its own, because a renewal may hang on a silent connection. */
function lapseLoop({ pool, leaseMs }: WorkerInput): Loop {
  return async (signal) => {
    while (!signal.aborted) {
      await pause(leaseMs / 10, signal)
      pool.loseLapsed()
    }
  }
}

/** Hears at once when a lease is taken away, and asks why: its attempt's signal then says it. */
function lossLoop({ backend, pool }: WorkerInput): Loop {
  return async (signal) => {
    const leave = await backend.onLeaseLost((lost) => pool.hear(lost))
    try {
      // Nobody was told of what was lost before anybody listened.
      pool.hear(undefined)
      while (!signal.aborted) await pool.renewDoubted(signal)
    } finally {
      leave()
    }
  }
}

function supervise(loop: (input: WorkerInput) => Loop) {
  return {
    src: 'supervised' as const,
    input: ({ context }: { context: WorkerInput }) => ({
      loop: loop(context),
      onError: context.onError,
    }),
  }
}

/** The worker as an XState actor: working → draining → stopped. Leases are kept until the end. */
export const workerMachine = setup({
  types: {} as {
    input: WorkerInput
    context: WorkerInput & { readonly drainUntilMs: number }
    events: { readonly type: 'stop'; readonly graceMs: number }
  },
  actors: {
    supervised: supervisedMachine,
    drain: fromPromise<void, DrainInput>(drain),
  },
  actions: {
    // Another stop can only shorten what the first one granted.
    setGrace: assign({
      drainUntilMs: ({ context, event }) =>
        Math.min(context.drainUntilMs, Date.now() + event.graceMs),
    }),
  },
}).createMachine({
  id: 'worker',
  context: ({ input }) => ({ ...input, drainUntilMs: Number.POSITIVE_INFINITY }),
  initial: 'open',
  states: {
    open: {
      initial: 'working',
      invoke: [supervise(renewLoop), supervise(lapseLoop), supervise(lossLoop)],
      states: {
        working: {
          invoke: supervise(claimLoop),
          on: { stop: { target: 'draining', actions: 'setGrace' } },
        },
        draining: {
          on: { stop: { target: 'draining', reenter: true, actions: 'setGrace' } },
          invoke: {
            src: 'drain',
            input: ({ context: { pool, drainUntilMs } }) => ({ pool, drainUntilMs }),
            onDone: '#worker.stopped',
            onError: '#worker.stopped',
          },
        },
      },
    },
    stopped: { type: 'final' },
  },
})

/** What draining needs to know. */
export interface DrainInput {
  readonly pool: AttemptPool
  readonly drainUntilMs: number
}

/** Lets running attempts finish until the grace is over, then hands the rest back. */
async function drain({ input, signal }: { input: DrainInput; signal: AbortSignal }): Promise<void> {
  const { pool, drainUntilMs } = input
  const finished = new AbortController()
  await pool.claimed()
  await Promise.race([
    pool.idle().then(() => finished.abort()),
    pause(Math.max(0, drainUntilMs - Date.now()), AbortSignal.any([signal, finished.signal])),
  ])
  if (!signal.aborted) await pool.handBack()
}
