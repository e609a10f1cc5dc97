// Input against its schema: at submission, and again when it is worked on.
import type { StandardSchemaV1 } from '@standard-schema/spec'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { type Engine, type Task, task } from '../../src/index.ts'
import { refusal } from '../support/executions.ts'
import { kinds, useEngines } from './engines.ts'

/** A schema of another library than zod: all that the standard asks for. */
function schema<Input, Output = Input>(
  validate: (
    value: unknown,
  ) => ReturnType<StandardSchemaV1<Input, Output>['~standard']['validate']>,
): StandardSchemaV1<Input, Output> {
  return { '~standard': { version: 1, vendor: 'test', validate } }
}

async function stored(engine: Engine): Promise<number> {
  return (await engine.backend.listExecutions(0, undefined, 100)).items.length
}

describe.each(kinds)('input on %s', (kind) => {
  const { open } = useEngines(kind)
  const order = task({
    name: 'order',
    input: z.object({ id: z.string(), lines: z.array(z.object({ count: z.number().int() })) }),
    run: (_context, input) => input.lines.reduce((sum, { count }) => sum + count, 0),
  })

  test('that fits is worked on', async () => {
    const engine = await open()
    await engine.work([order])
    const execution = await engine.submit(order, { id: 'a', lines: [{ count: 1 }, { count: 2 }] })
    expect(await execution.result()).toBe(3)
  })

  test('that does not fit is refused before anything is written, with every issue', async () => {
    const engine = await open()
    const wrong = { id: 5, lines: [{ count: 1 }, { count: 1.5 }] } as unknown as { id: string }
    const error = await refusal(engine.submit(order, { lines: [], ...wrong }), 'invalid_input', {
      argument: 'input',
      task: 'order',
      issues: [expect.stringMatching(/^id: /), expect.stringMatching(/^lines\.1\.count: /)],
    })
    expect(error.message).toContain('the input of order does not fit')
    expect(await stored(engine)).toBe(0)
  })

  test('is transformed for the code and stored as it was given', async () => {
    const engine = await open()
    const seen: unknown[] = []
    const length = task({
      name: 'length',
      input: z.string().transform((text) => text.length),
      retry: { attempts: 2, delay: 1 },
      run: ({ attempt }, input) => {
        seen.push(input)
        if (attempt === 0) throw new Error('once more, with the same input')
        return input
      },
    })
    await engine.work([length])
    expect(await (await engine.submit(length, 'four')).result()).toBe(4)
    expect(seen).toEqual([4, 4])
  })

  test('gets its defaults', async () => {
    const engine = await open()
    const page = task({
      name: 'page',
      input: z.object({ size: z.number().default(20) }),
      run: (_context, { size }) => size,
    })
    await engine.work([page])
    expect(await (await engine.submit(page, {})).result()).toBe(20)
  })

  test('is checked as the worker will see it, lest it fit now and fail later', async () => {
    const engine = await open()
    const day = task({ name: 'day', input: z.date(), run: (_context, date) => date.getDay() })
    await refusal(engine.submit(day, new Date()), 'invalid_input', { argument: 'input' })
    const lenient = task({
      name: 'lenient',
      input: z.coerce.date<Date | string>(),
      run: (_context, date) => date.toISOString(),
    })
    await engine.work([lenient])
    const execution = await engine.submit(lenient, new Date(0))
    expect(await execution.result()).toBe('1970-01-01T00:00:00.000Z')
  })

  test('may be checked by a schema that takes its time', async () => {
    const engine = await open()
    const known = new Set(['ada'])
    const mail = task({
      name: 'mail',
      input: schema<string>(async (value) =>
        known.has(String(value)) ? { value: String(value) } : { issues: [{ message: 'unknown' }] },
      ),
      run: (_context, name) => `to ${name}`,
    })
    await engine.work([mail])
    expect(await (await engine.submit(mail, 'ada')).result()).toBe('to ada')
    await refusal(engine.submit(mail, 'bob'), 'invalid_input', { issues: ['unknown'] })
  })

  test('is described by the paths of the standard, whatever their form', async () => {
    const engine = await open()
    const picky = task({
      name: 'picky',
      input: schema<number>(() => ({
        issues: [
          { message: 'a', path: ['list', 0, { key: 'name' }] },
          { message: 'b', path: [] },
          { message: 'c', path: [Symbol('hidden')] },
          { message: 'd' },
        ],
      })),
      run: () => 1,
    })
    await refusal(engine.submit(picky, 1), 'invalid_input', {
      issues: ['list.0.name: a', 'b', 'Symbol(hidden): c', 'd'],
    })
  })

  test('that a newer schema refuses fails the execution for good at work', async () => {
    const engine = await open()
    const before = task({ name: 'job', input: z.number(), run: () => 'old' })
    let runs = 0
    const after = task({
      name: 'job',
      input: z.string(),
      retry: { attempts: 5, delay: 1 },
      run: () => {
        runs += 1
      },
    })
    const execution = await engine.submit(before, 7, { retry: { attempts: 5, delay: 1 } })
    await engine.work([after])
    const error = await refusal(execution.result(), 'execution_failed')
    expect(error.details).toMatchObject({ failureClass: 'permanent' })
    expect(error.details.message).toContain('the input of job does not fit')
    expect(runs).toBe(0)
  })

  test('that a schema breaks on is refused at submission, and fails for good at work', async () => {
    const engine = await open()
    let isBroken = false
    const brittle = task({
      name: 'brittle',
      input: schema<number>((value) => {
        if (isBroken) throw new Error('the schema broke')
        return { value: Number(value) }
      }),
      run: () => 1,
    })
    const execution = await engine.submit(brittle, 1)
    isBroken = true
    const error = await refusal(engine.submit(brittle, 1), 'invalid_input', { argument: 'input' })
    expect(error.message).toContain('the schema broke')
    await engine.work([brittle])
    await refusal(execution.result(), 'execution_failed')
  })

  test.each<[string, () => unknown]>([
    ['goes in circles', circular],
    ['is a BigInt', () => ({ n: 5n })],
    ['throws when it is written', () => ({ toJSON: refuse })],
  ])('that %s is refused before anything is written', async (_why, make) => {
    const engine = await open()
    const any = task({ name: 'any', run: (_context, _input: unknown) => 1 })
    await refusal(engine.submit(any, make()), 'invalid_input', { argument: 'input', task: 'any' })
    expect(await stored(engine)).toBe(0)
  })

  test('that is too large is refused before anything is written', async () => {
    const engine = await open()
    const any: Task<string> = task({ name: 'any', run: (_context, _input: string) => 1 })
    const most = 'x'.repeat(1_048_574)
    await refusal(engine.submit(any, `${most}x`), 'invalid_input', { argument: 'input' })
    expect(await stored(engine)).toBe(0)
    await engine.submit(any, most)
    expect(await stored(engine)).toBe(1)
  })
})

function circular(): unknown {
  const value: Record<string, unknown> = {}
  value.self = value
  return value
}

function refuse(): never {
  throw new Error('not to be written')
}
