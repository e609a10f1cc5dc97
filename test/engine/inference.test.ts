// What TypeScript knows of tasks: their input and output, from code and from schemas.
import { describe, expectTypeOf, test } from 'vitest'
import { z } from 'zod'
import type {
  ChildOutcome,
  Engine,
  Execution,
  FlowNode,
  SubmitItemOutcome,
  Task,
  TaskContext,
} from '../../src/index.ts'
import { task } from '../../src/index.ts'

/** Never called: only its types count. */
declare const engine: Engine

describe('the types of a task', () => {
  test('come from its code', () => {
    const resize = task({
      name: 'resize',
      run: async (context, input: { url: string }) => {
        expectTypeOf(context).toEqualTypeOf<TaskContext>()
        return { from: input.url, attempt: context.attempt }
      },
    })
    expectTypeOf(resize).toEqualTypeOf<Task<{ url: string }, { from: string; attempt: number }>>()
  })

  test('come from code that returns no promise, as from code that does', () => {
    expectTypeOf(task({ name: 'a', run: () => 1 })).toEqualTypeOf<Task<void, number>>()
    expectTypeOf(task({ name: 'a', run: async () => 1 })).toEqualTypeOf<Task<void, number>>()
    expectTypeOf(task({ name: 'a', run: () => undefined })).toEqualTypeOf<Task<void, undefined>>()
    expectTypeOf(task({ name: 'a', run: async () => {} })).toEqualTypeOf<Task<void, void>>()
  })

  test('keep unions and optional members', () => {
    const either = task({
      name: 'either',
      run: (_context, input: { a?: string } | null) => input?.a ?? null,
    })
    expectTypeOf(either).toEqualTypeOf<Task<{ a?: string } | null, string | null>>()
  })

  test('come from the schema: what goes in, and what it makes of it', () => {
    const charge = task({
      name: 'charge',
      input: z.object({
        cents: z.number().default(0),
        at: z.string().transform((text) => new Date(text)),
      }),
      run: (_context, input) => {
        expectTypeOf(input).toEqualTypeOf<{ cents: number; at: Date }>()
        return input.at.getTime() + input.cents
      },
    })
    expectTypeOf(charge).toEqualTypeOf<Task<{ cents?: number | undefined; at: string }, number>>()
  })

  test('come from a schema of one value', () => {
    const text = task({ name: 'text', input: z.string(), run: async (_context, input) => [input] })
    expectTypeOf(text).toEqualTypeOf<Task<string, string[]>>()
  })

  test('are held by code that takes less than its schema gives', () => {
    const count = task({ name: 'count', input: z.array(z.unknown()), run: () => true as const })
    expectTypeOf(count).toEqualTypeOf<Task<unknown[], true>>()
  })
})

describe('the types of an engine', () => {
  const length = task({ name: 'length', run: (_context, input: string) => input.length })
  const nothing = task({ name: 'nothing', run: () => 'done' })

  test('are those of the task', () => {
    const submit = () => engine.submit(length, 'four', { priority: 1, delay: '1s' })
    expectTypeOf(submit).returns.resolves.toEqualTypeOf<Execution<number>>()
    const result = async () => (await submit()).result()
    expectTypeOf(result).returns.resolves.toEqualTypeOf<number>()
    const many = () => engine.submitMany(length, [{ input: 'a', options: { idempotencyKey: 'a' } }])
    expectTypeOf(many).returns.resolves.toEqualTypeOf<readonly SubmitItemOutcome<number>[]>()
    const none = () => engine.submit(nothing, undefined)
    expectTypeOf(none).returns.resolves.toEqualTypeOf<Execution<string>>()
  })

  test('of an outcome tell what there is', () => {
    const read = (one: SubmitItemOutcome<number>) =>
      one.outcome === 'refused' ? one.error.code.length : one.execution.result()
    expectTypeOf(read).returns.toEqualTypeOf<number | Promise<number>>()
  })

  test('of an execution held by its id are what the caller says', () => {
    const unknown = () => engine.execution('0-x')
    expectTypeOf(unknown).returns.toEqualTypeOf<Execution<unknown>>()
    const known = () => engine.execution<{ a: 1 }>('0-x').result()
    expectTypeOf(known).returns.resolves.toEqualTypeOf<{ a: 1 }>()
  })

  test('let different tasks be worked on together', () => {
    const schema = task({ name: 'schema', input: z.number(), run: (_context, input) => input })
    const work = () => engine.work([length, nothing, schema], { concurrency: 4, lease: '10s' })
    expectTypeOf(work).returns.resolves.toHaveProperty('stop')
  })

  test('refuse what does not fit', () => {
    const wrong = {
      // @ts-expect-error the input is a text
      input: () => engine.submit(length, 5),
      // @ts-expect-error the input is missing
      missing: () => engine.submit(length),
      // @ts-expect-error there is no such option
      option: () => engine.submit(length, 'a', { prio: 1 }),
      // @ts-expect-error no unit is called that
      unit: () => engine.submit(length, 'a', { delay: '1 second' }),
      // @ts-expect-error one of many has no input
      many: () => engine.submitMany(length, [{ options: {} }]),
      // @ts-expect-error a task has a name
      name: () => task({ run: () => 1 }),
      // @ts-expect-error a task has code
      run: () => task({ name: 'a' }),
      code: () =>
        // @ts-expect-error the code takes something else than the schema gives
        task({ name: 'a', input: z.string(), run: (_context, input: number) => input }),
      // @ts-expect-error no backoff is called that
      backoff: () => task({ name: 'a', retry: { attempts: 2, backoff: 'linear' }, run: () => 1 }),
    }
    expectTypeOf(wrong).toBeObject()
  })
})

describe('the types of a flow', () => {
  const length = task({ name: 'length', run: (_context, text: string) => text.length })

  test('are those of the tasks of its nodes', () => {
    const use = async () => {
      const flow = engine.flow('typed')
      const node = flow.add(length, 'text')
      expectTypeOf(node).toEqualTypeOf<FlowNode<number>>()
      // @ts-expect-error a number is no text
      flow.add(length, 7, { after: node })
      const run = await flow.submit()
      expectTypeOf(run.execution(node)).toEqualTypeOf<Execution<number>>()
      expectTypeOf(run.execution('length')).toEqualTypeOf<Execution<unknown>>()
    }
    expectTypeOf(use).toBeFunction()
  })

  test('come from the task for children, and from the caller for their results', () => {
    const use = async (context: TaskContext) => {
      // @ts-expect-error a number is no text
      await context.spawn(length, 7)
      const outcomes = await context.waitChildren<number>()
      expectTypeOf(outcomes).toEqualTypeOf<readonly ChildOutcome<number>[]>()
      expectTypeOf((await context.inputs()).result<string>('a')).toEqualTypeOf<string>()
    }
    expectTypeOf(use).toBeFunction()
  })
})
