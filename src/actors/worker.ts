// A worker process: claims while it works, drains when it is told to stop.
import { fromPromise, setup } from 'xstate'
import type { CapabilitySet, EngineBackend } from '../persistence/backend.ts'
import type { AttemptPool } from './attempt-pool.ts'
import { pause } from './pause.ts'
import { type Loop, supervisedMachine } from './supervised.ts'

export interface WorkerInput {
  readonly backend: Pick<EngineBackend, 'claim'>
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
      const claimed = await backend.claim(lanes, capabilities, {
        worker,
        leaseMs,
        count,
        maxWaitMs: claimWaitMs,
        signal,
      })
      for (const execution of claimed) pool.start(execution)
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

/** The worker as an XState actor: working → draining → stopped. Leases are kept until the end. */
export const workerMachine = setup({
  types: {} as {
    input: WorkerInput
    context: WorkerInput & { readonly graceMs: number }
    events: { readonly type: 'stop'; readonly graceMs: number }
  },
  actors: {
    supervised: supervisedMachine,
    drain: fromPromise<void, { readonly pool: AttemptPool; readonly graceMs: number }>(drain),
  },
}).createMachine({
  id: 'worker',
  context: ({ input }) => ({ ...input, graceMs: 0 }),
  initial: 'open',
  states: {
    open: {
      initial: 'working',
      invoke: {
        src: 'supervised',
        input: ({ context }) => ({ loop: renewLoop(context), onError: context.onError }),
      },
      states: {
        working: {
          invoke: {
            src: 'supervised',
            input: ({ context }) => ({ loop: claimLoop(context), onError: context.onError }),
          },
          on: { stop: 'draining' },
        },
        draining: {
          invoke: {
            src: 'drain',
            input: ({ context, event }) => ({
              pool: context.pool,
              graceMs: event.type === 'stop' ? event.graceMs : 0,
            }),
            onDone: '#worker.stopped',
            onError: '#worker.stopped',
          },
        },
      },
    },
    stopped: { type: 'final' },
  },
})

/** Lets running attempts finish within the grace period, then hands the rest back. */
async function drain({
  input: { pool, graceMs },
  signal,
}: {
  input: { readonly pool: AttemptPool; readonly graceMs: number }
  signal: AbortSignal
}): Promise<void> {
  const finished = new AbortController()
  await Promise.race([
    pool.idle().then(() => finished.abort()),
    pause(graceMs, AbortSignal.any([signal, finished.signal])),
  ])
  await pool.handBack()
}
