// What becomes of attempts that fail, on both kinds of backend.
import { describe, expect, test } from 'vitest'
import { EngineError, NonRetryableError, type TaskRetry, task } from '../../src/index.ts'
import { refusal } from '../support/executions.ts'
import { kinds, useEngines } from './engines.ts'

const quick: TaskRetry = { attempts: 4, delay: 1 }

describe.each(kinds)('a failed attempt on %s', (kind) => {
  const engines = useEngines(kind)
  const { open } = engines

  /** How an execution of such code ends, and the attempts that it took. */
  async function ending(
    run: (attempt: number) => unknown,
    retry?: TaskRetry,
  ): Promise<{ result?: unknown; error?: EngineError; attempts: number[] }> {
    const engine = await open()
    const attempts: number[] = []
    const code = task({
      name: 'code',
      ...(retry && { retry }),
      run: ({ attempt }) => {
        attempts.push(attempt)
        return run(attempt)
      },
    })
    await engine.work([code])
    const execution = await engine.submit(code, undefined)
    const outcome = await execution.result().then(
      (result) => ({ result }),
      (error: EngineError) => ({ error }),
    )
    return { ...outcome, attempts }
  }

  const fail = (message: string) => {
    throw new Error(message)
  }

  test('is tried again until one does not fail', async () => {
    const { result, attempts } = await ending((at) => (at < 2 ? fail(`no ${at}`) : 'yes'), quick)
    expect(result).toBe('yes')
    expect(attempts).toEqual([0, 1, 2])
  })

  test('ends the execution when no attempt is left, with the last error', async () => {
    const { error, attempts } = await ending((at) => fail(`no ${at}`), quick)
    expect(attempts).toEqual([0, 1, 2, 3])
    expect(error).toBeInstanceOf(EngineError)
    expect(error).toMatchObject({
      code: 'execution_failed',
      family: 'Execution',
      retryable: false,
      details: { reason: 'failed', failureClass: 'transient', message: 'no 3' },
    })
    expect(error?.message).toContain('failed: no 3')
  })

  test('ends the execution when the task says nothing about retries', async () => {
    const { attempts } = await ending(() => fail('no'))
    expect(attempts).toEqual([0])
  })

  test('ends the execution when it says that no retry can help', async () => {
    const { error, attempts } = await ending(() => {
      throw new NonRetryableError('never')
    }, quick)
    expect(attempts).toEqual([0])
    expect(error?.details).toMatchObject({ failureClass: 'permanent', message: 'never' })
  })

  test('ends the execution when its error is derived from NonRetryableError', async () => {
    class OutOfStock extends NonRetryableError {}
    const { attempts } = await ending(() => {
      throw new OutOfStock('sold')
    }, quick)
    expect(attempts).toEqual([0])
  })

  test('is only tried again for the classes that the policy names', async () => {
    const crashes = await ending(() => fail('no'), { ...quick, on: ['infra_crash'] })
    expect(crashes.attempts).toEqual([0])
    const permanent = await ending(
      (at) => {
        if (at === 0) throw new NonRetryableError('never, or so it said')
        return 'after all'
      },
      { ...quick, on: ['permanent'] },
    )
    expect(permanent).toMatchObject({ result: 'after all', attempts: [0, 1] })
  })

  test('waits as the policy says before the next one', async () => {
    const startedAtMs: number[] = []
    const retry: TaskRetry = { attempts: 3, backoff: 'exponential', delay: 40, multiplier: 3 }
    await ending(() => {
      startedAtMs.push(performance.now())
      return fail('no')
    }, retry)
    const [first = 0, second = 0, third = 0] = startedAtMs
    // The server counts whole milliseconds.
    expect(second - first).toBeGreaterThanOrEqual(39)
    expect(third - second).toBeGreaterThanOrEqual(119)
  })

  test('that was caused by an operation of the engine is one like any other', async () => {
    const engine = await open()
    const inner = task({ name: 'inner', run: () => 1 })
    const outer = task({
      name: 'outer',
      retry: quick,
      run: async ({ attempt }) => {
        await engine.submit(inner, undefined, { priority: attempt === 0 ? -1 : 1 })
        return attempt
      },
    })
    await engine.work([outer])
    expect(await (await engine.submit(outer, undefined)).result()).toBe(1)
  })

  test.each<[string, unknown, string]>([
    ['a text', 'oops', 'oops'],
    ['nothing', undefined, 'undefined'],
    ['null', null, 'null'],
    ['a number', 0, '0'],
    ['a symbol', Symbol('s'), 'Symbol(s)'],
    ['an error without words', new Error(''), ''],
    ['an error with an object for a message', withMessage({ a: 1 }), '[object Object]'],
    ['an error with a number for a message', withMessage(404), '404'],
    ['an error of errors', new AggregateError([new Error('a')], 'several'), 'several'],
  ])('may be %s', async (_what, thrown, message) => {
    const { error, attempts } = await ending(() => {
      throw thrown
    })
    expect(error).toMatchObject({ code: 'execution_failed', details: { message } })
    expect(attempts).toEqual([0])
  })

  test.each<[string, () => unknown]>([
    ['that cannot be written as text', () => Object.create(null)],
    ['whose message throws', () => hostile('message')],
    ['whose stack throws', () => hostile('stack')],
  ])('may be something %s', async (_what, make) => {
    const { error, attempts } = await ending(() => {
      throw make()
    })
    expect(error?.code).toBe('execution_failed')
    expect(attempts).toEqual([0])
  })

  test('that not even can be looked at fails the attempt, and is reported', async () => {
    const { error, attempts } = await ending(() => {
      throw refusingProxy()
    })
    expect(error?.code).toBe('execution_failed')
    expect(attempts).toEqual([0])
    expect(engines.faults.splice(0)).toEqual([
      expect.objectContaining({ message: 'do not touch me' }),
    ])
  })

  test('keeps the start of a very long message, in whole characters', async () => {
    const { error } = await ending(() => fail('🔑'.repeat(10_000)))
    const message = String(error?.details.message)
    expect(message).toMatch(/^(🔑)+$/u)
    expect(Buffer.byteLength(message)).toBeGreaterThan(2000)
    expect(Buffer.byteLength(message)).toBeLessThanOrEqual(2048)
  })

  test('is kept, with its stack, where the execution is described', async () => {
    const engine = await open()
    const code = task({ name: 'code', retry: { attempts: 2, delay: 1 }, run: () => fail('no') })
    const worker = await engine.work([code], { name: 'worker-of-this-test' })
    const execution = await engine.submit(code, undefined)
    await refusal(execution.result(), 'execution_failed')
    const snapshot = await execution.describe()
    expect(snapshot).toMatchObject({
      publicState: 'failed',
      totalAttempts: 2,
      retries: 1,
      failureClass: 'transient',
      endedAttempts: [{ attempt: 0, how: 'transient', worker: worker.name }],
    })
    const watched = await engine.backend.watch(execution.id)
    if (watched.outcome !== 'failed') throw new Error(`it is ${watched.outcome}`)
    expect(String(watched.failure?.detail)).toContain('retries.test.ts')
  })
})

describe.each(kinds)('a result that cannot be stored on %s', (kind) => {
  const { open } = useEngines(kind)

  test.each<[string, () => unknown, RegExp]>([
    ['it is too large', () => 'x'.repeat(1_048_576), /1048578 bytes, more than 1048576/],
    ['it is a BigInt', () => 5n, /BigInt/],
    ['it goes in circles', () => circular(), /circular/],
  ])('fails the execution for good when %s', async (_why, make, message) => {
    const engine = await open()
    let runs = 0
    const code = task({
      name: 'code',
      retry: quick,
      run: () => {
        runs += 1
        return make()
      },
    })
    await engine.work([code])
    const execution = await engine.submit(code, undefined)
    const error = await refusal(execution.result(), 'execution_failed')
    expect(error.details).toMatchObject({ failureClass: 'permanent' })
    expect(error.details.message).toMatch(message)
    expect(runs).toBe(1)
  })

  test('may have every byte that there is room for', async () => {
    const engine = await open()
    const code = task({ name: 'code', run: () => 'x'.repeat(1_048_574) })
    await engine.work([code])
    const execution = await engine.submit(code, undefined)
    expect(await execution.result()).toHaveLength(1_048_574)
  })
})

function withMessage(message: unknown): Error {
  return Object.assign(new Error('was'), { message })
}

function hostile(property: string): Error {
  return Object.defineProperty(new Error('was'), property, {
    get: () => {
      throw new Error('do not read me')
    },
  })
}

function refusingProxy(): unknown {
  const refuse = () => {
    throw new Error('do not touch me')
  }
  return new Proxy({}, { get: refuse, getPrototypeOf: refuse, has: refuse })
}

function circular(): unknown {
  const value: Record<string, unknown> = {}
  value.self = value
  return value
}
