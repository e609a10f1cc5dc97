// Keeps a loop alive: when it fails, it is reported and started again after a growing rest.
import { assign, fromPromise, setup } from 'xstate'

/** A loop that runs until its signal fires; anything it throws is a crash. */
export type Loop = (signal: AbortSignal) => Promise<void>

/** What a supervised loop remembers. */
export interface SupervisedContext extends SupervisedInput {
  readonly crashes: number
}

export interface SupervisedInput {
  readonly loop: Loop
  readonly onError: (error: unknown) => void
}

const restMsMax = 5000

/** One supervised loop as an XState actor: running → resting → running … until it is stopped. */
export const supervisedMachine = setup({
  types: {} as {
    input: SupervisedInput
    context: SupervisedContext
    events: { readonly type: 'stop' }
  },
  actors: {
    loop: fromPromise<void, Loop>(({ input, signal }) => input(signal)),
  },
  delays: {
    rest: ({ context }: { context: SupervisedContext }) =>
      Math.min(50 * 2 ** Math.min(context.crashes, 8), restMsMax),
  },
  actions: {
    report: ({ context }, error: unknown) => context.onError(error),
    countCrash: assign({ crashes: ({ context }) => context.crashes + 1 }),
  },
}).createMachine({
  id: 'supervised',
  context: ({ input }) => ({ ...input, crashes: 0 }),
  initial: 'running',
  on: { stop: '.stopped' },
  states: {
    running: {
      invoke: {
        src: 'loop',
        input: ({ context }: { context: SupervisedContext }) => context.loop,
        onDone: 'stopped',
        onError: {
          target: 'resting',
          actions: [
            { type: 'report', params: ({ event }: { event: { error: unknown } }) => event.error },
            'countCrash',
          ],
        },
      },
    },
    resting: { after: { rest: 'running' } },
    stopped: { type: 'final' },
  },
})
