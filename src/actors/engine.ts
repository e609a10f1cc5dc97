// The root of an engine's actors: one sweeper, and the workers that were started.
import { assertEvent, setup, spawnChild } from 'xstate'
import type { EngineBackend } from '../persistence/backend.ts'
import { supervisedMachine } from './supervised.ts'
import { sweepLoop } from './sweeper.ts'
import { type WorkerInput, workerMachine } from './worker.ts'

export interface EngineInput {
  readonly backend: EngineBackend
  readonly onError: (error: unknown) => void
}

/** One supervised system: whatever crashes in it is reported and started again. */
export const engineMachine = setup({
  types: {} as {
    input: EngineInput
    context: EngineInput
    events:
      | { readonly type: 'work'; readonly id: string; readonly input: WorkerInput }
      | { readonly type: 'close' }
  },
  actors: { supervised: supervisedMachine, worker: workerMachine },
}).createMachine({
  id: 'engine',
  context: ({ input }) => input,
  initial: 'open',
  states: {
    open: {
      invoke: {
        src: 'supervised',
        id: 'sweeper',
        input: ({ context }) => ({ loop: sweepLoop(context.backend), onError: context.onError }),
      },
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
        close: 'closed',
      },
    },
    closed: { type: 'final' },
  },
})
