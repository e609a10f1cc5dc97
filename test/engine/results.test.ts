// Submitting work and getting its result, on both kinds of backend.
import { Redis } from 'ioredis'
import { describe, expect, test } from 'vitest'
import { task } from '../../src/index.ts'
import { refusal } from '../support/executions.ts'
import { freshNamespace, kinds, useEngines } from './engines.ts'
import { staged } from './staged.ts'

const unknownId = '0-01m83y6swf5ffkx83x1aj6g3gw'

describe.each(kinds)('a result on %s', (kind) => {
  const { open } = useEngines(kind)
  const echo = task({ name: 'echo', run: (_context, input: unknown) => input })

  test.each([
    [0],
    [''],
    [false],
    [null],
    [undefined],
    [-0.5],
    ['ключ 🔑 \u0000 \ud800'],
    [{ a: [1, { b: null }], 'ü ': 'x' }],
    [[]],
  ])('is what the task returned: %j', async (value) => {
    const engine = await open()
    await engine.work([echo])
    const execution = await engine.submit(echo, value)
    expect(await execution.result()).toEqual(value)
    expect(await execution.result()).toEqual(value)
  })

  test('is what JSON makes of it, as for anybody who reads it elsewhere', async () => {
    const engine = await open()
    const odd = task({
      name: 'odd',
      run: () => ({ at: new Date(0), none: undefined, nan: Number.NaN, list: [undefined] }),
    })
    await engine.work([odd])
    const execution = await engine.submit(odd, undefined)
    expect(await execution.result()).toEqual({
      at: '1970-01-01T00:00:00.000Z',
      nan: null,
      list: [null],
    })
  })

  test('may be as large as an input may be', async () => {
    const engine = await open()
    await engine.work([echo])
    const large = { text: 'é'.repeat(500_000), rest: [1, 2, 3] }
    const execution = await engine.submit(echo, large)
    expect(await execution.result()).toEqual(large)
  })

  test('comes back for work that was submitted before any worker, and after it', async () => {
    const engine = await open()
    const first = await engine.submit(echo, 1)
    const waiting = first.result()
    await engine.work([echo])
    expect(await waiting).toBe(1)
    const second = await engine.submit(echo, 2)
    expect(await second.result()).toBe(2)
  })

  test('reaches everybody who waits for it', async () => {
    const engine = await open()
    const execution = await engine.submit(echo, 'news')
    const byId = engine.execution<string>(execution.id)
    const waiting = [execution.result(), execution.result(), byId.result(), byId.result()]
    await engine.work([echo])
    expect(await Promise.all(waiting)).toEqual(['news', 'news', 'news', 'news'])
    expect(byId.duplicate).toBe(false)
  })

  test('is not missed when it comes while somebody begins to wait for it', async () => {
    const engine = await open()
    const { backend } = engine
    const first = await engine.submit(echo, 0)
    const early = first.result({ timeout: '9s' })
    for (let round = 0; round < 40; round++) {
      const execution = round === 0 ? first : await engine.submit(echo, round)
      const [claimed] = await backend.claim('echo', [], { worker: 'test' })
      const result = round === 0 ? early : execution.result({ timeout: '9s' })
      // Each round ends a little later: before, between and after the subscription and the reading.
      for (let turn = round % 8; turn > 0; turn--) await nextTurn()
      await backend.complete(claimed?.handle ?? expect.fail(), Buffer.from(String(round)))
      expect(await result).toBe(round)
    }
  })

  test('of each of many executions is its own', async () => {
    const engine = await open()
    await engine.work([echo], { concurrency: 100 })
    const inputs = Array.from({ length: 500 }, (_, index) => index)
    const executions = await Promise.all(inputs.map((input) => engine.submit(echo, input)))
    expect(await Promise.all(executions.map((execution) => execution.result()))).toEqual(inputs)
  })

  test('is waited for as long as asked, and can be asked for again', async () => {
    const engine = await open()
    const { task: held, begun } = staged()
    await engine.work([held])
    const execution = await engine.submit(held, undefined)
    const attempt = await begun()
    const { id } = execution
    await refusal(execution.result({ timeout: 20 }), 'result_timeout', {
      executionId: id,
      timeoutMs: 20,
    })
    await refusal(execution.result({ timeout: 0 }), 'result_timeout')
    attempt.finish('at last')
    expect(await execution.result({ timeout: '30d' })).toBe('at last')
  })

  test('can be waited for longer than a timer of Node can hold', async () => {
    const engine = await open()
    const execution = await engine.submit(echo, 'patience')
    const waiting = execution.result({ timeout: '60d' })
    await engine.work([echo])
    expect(await waiting).toBe('patience')
  })

  test('is refused a timeout that is no duration', async () => {
    const engine = await open()
    const execution = await engine.submit(echo, 1)
    await refusal(execution.result({ timeout: '1 minute' as '1m' }), 'invalid_input', {
      argument: 'timeout',
    })
  })

  test('of an execution that there is not is refused', async () => {
    const engine = await open()
    await refusal(engine.execution(unknownId).result(), 'execution_not_found')
    expect(await engine.execution(unknownId).describe()).toBeUndefined()
    const elsewhere = engine.execution(unknownId.replace('0-', '900-'))
    await refusal(elsewhere.result(), 'execution_not_found')
    expect(await elsewhere.describe()).toBeUndefined()
  })

  test('cannot be asked for under what is no id', async () => {
    const engine = await open()
    for (const id of ['', 'x', '0-', unknownId.toUpperCase(), `${unknownId}0`, 7, null]) {
      expect(() => engine.execution(id as string)).toThrow(
        expect.objectContaining({ code: 'invalid_input' }),
      )
    }
  })

  test('is forgotten with the execution', async () => {
    const engine = await open()
    await engine.work([echo])
    const execution = await engine.submit(echo, 1, { retention: 'forever' })
    await execution.result()
    await engine.backend.purgeExecution(execution.id)
    await refusal(execution.result(), 'execution_not_found')
    expect(await execution.describe()).toBeUndefined()
  })

  test('is known even if the execution is to be forgotten at once', async () => {
    const engine = await open()
    await engine.work([echo])
    const execution = await engine.submit(echo, 1, { retention: 0 })
    expect(await execution.result()).toBe(1)
  })
})

describe.each(kinds)('a closed engine on %s', (kind) => {
  const { open } = useEngines(kind)
  const nothing = task({ name: 'nothing', run: () => undefined })

  test('lets nobody wait for a result any longer', async () => {
    const engine = await open()
    const first = await engine.submit(nothing, undefined)
    const second = await engine.submit(nothing, undefined)
    const waiting = [first, first, second].map((one) => refusal(one.result(), 'engine_closed'))
    await engine.close()
    await Promise.all(waiting)
  })

  test('tells so to whoever begins to wait while it closes', async () => {
    const engine = await open()
    const execution = await engine.submit(nothing, undefined)
    const closing = engine.close()
    await Promise.all([
      refusal(execution.result(), 'engine_closed'),
      closing.then(() => refusal(execution.result(), 'engine_closed')),
      refusal(execution.result({ timeout: '1m' }), 'engine_closed'),
    ])
  })

  test('accepts nothing, works on nothing and shows nothing', async () => {
    const engine = await open()
    const execution = await engine.submit(nothing, undefined)
    await engine.close()
    await refusal(engine.submit(nothing, undefined), 'engine_closed')
    await refusal(engine.work([nothing]), 'engine_closed')
    await refusal(execution.describe(), 'engine_closed')
    await refusal(execution.cancel(), 'engine_closed')
    await refusal(engine.backend.claim('nothing', [], { worker: 'w' }), 'engine_closed')
    const [bulk] = await engine.submitMany(nothing, [{ input: undefined }])
    expect(bulk).toMatchObject({ outcome: 'refused', error: { code: 'engine_closed' } })
  })

  test('may be closed again', async () => {
    const engine = await open()
    await engine.work([nothing])
    await Promise.all([engine.close(), engine.close()])
    await engine.close()
  })

  test('refuses a grace that is none, and is still open', async () => {
    const engine = await open()
    await refusal(engine.close({ grace: -1 }), 'invalid_input', { argument: 'grace' })
    await engine.work([nothing])
    const execution = await engine.submit(nothing, undefined)
    expect(await execution.result()).toBeUndefined()
  })
})

describe('a result from another engine', () => {
  const engines = useEngines('valkey')
  const { open } = engines
  const sum = task({ name: 'sum', run: (_context, [a, b]: [number, number]) => a + b })

  test('is found wherever it was submitted, worked on and waited for', async () => {
    const namespace = freshNamespace()
    const [submitter, worker, reader] = await Promise.all([
      open({ namespace }),
      open({ namespace }),
      open({ namespace }),
    ])
    const execution = await submitter.submit(sum, [20, 22])
    const there = reader.execution<number>(execution.id).result()
    await worker.work([sum])
    expect(await there).toBe(42)
    expect(await execution.result()).toBe(42)
  })

  test('is not found in another namespace', async () => {
    const [one, other] = await Promise.all([open(), open()])
    const execution = await one.submit(sum, [1, 2])
    await refusal(other.execution(execution.id).result(), 'execution_not_found')
  })

  test('does not keep a connection open that nobody closes', async () => {
    const redis = new Redis(engines.server.port)
    const count = async () =>
      String(await redis.client('LIST'))
        .trim()
        .split('\n').length
    const engine = await open()
    const execution = await engine.submit(sum, [1, 2])
    await engine.close()
    await refusal(execution.result(), 'engine_closed')
    await expect.poll(count).toBe(1)
    redis.disconnect()
  })
})

function nextTurn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve))
}
