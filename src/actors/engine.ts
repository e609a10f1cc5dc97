// The root of an engine's actors: one sweeper, and the workers that were started.
import { assertEvent, setup, spawnChild, stopChild } from 'xstate'
import type { EngineBackend } from '../persistence/backend.ts'
import { drainLoop } from './drainer.ts'
import { type Loop, supervisedMachine } from './supervised.ts'
import { sweepLoop } from './sweeper.ts'
import { type WorkerInput, workerMachine } from './worker.ts'

export interface EngineInput {
  readonly backend: EngineBackend
  readonly onError: (error: unknown) => void
}

type OpenLoop = (backend: EngineBackend, onError: EngineInput['onError']) => Loop

function supervise(id: string, loop: OpenLoop) {
  return {
    src: 'supervised' as const,
    id,
    input: ({ context }: { context: EngineInput }) => ({
      loop: loop(context.backend, context.onError),
      onError: context.onError,
    }),
  }
}

/** One supervised system: whatever crashes in it is reported and started again. */
export const engineMachine = setup({
  types: {} as {
    input: EngineInput
    context: EngineInput
    events:
      | { readonly type: 'work'; readonly id: string; readonly input: WorkerInput }
      | { readonly type: 'ended'; readonly id: string }
      | { readonly type: 'close' }
  },
  actors: { supervised: supervisedMachine, worker: workerMachine },
}).createMachine({
  id: 'engine',
  context: ({ input }) => input,
  initial: 'open',
  states: {
    open: {
      invoke: [supervise('sweeper', sweepLoop), supervise('drainer', drainLoop)],
      on: {
        work: {
          actions: spawnChild('worker', {
            id: ({ event }) => {
              assertEvent(event, 'work')
              return event.id
            },
            input: ({ event }) => {
              assertEvent(event, 'work')
              return event.input
            },
          }),
        },
        // A worker that has ended is let go with all that it held.
        ended: {
          actions: stopChild(({ event }) => {
            assertEvent(event, 'ended')
            return event.id
          }),
        },
        close: 'closed',
      },
    },
    closed: { type: 'final' },
  },
})
