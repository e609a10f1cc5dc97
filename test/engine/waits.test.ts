// Waiting for signals inside a task: early and late ones, again after retries, on both backends.
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { EngineError, isEngineError, task } from '../../src/index.ts'
import { refusal } from '../support/executions.ts'
import { kinds, useEngines } from './engines.ts'

/** A value that somebody else provides. */
function promised<Value>() {
  let provide: (value: Value) => void = () => undefined
  const value = new Promise<Value>((resolve) => {
    provide = resolve
  })
  return { provide, value }
}

describe.each(kinds)('a wait on %s', (kind) => {
  const { open } = useEngines(kind)

  test('frees its worker, and goes on with what was sent', async () => {
    const engine = await open({ signalUrl: 'https://example.org/signals/' })
    const link = promised<{ token: string; url: string | undefined }>()
    const approval = task({
      name: 'approval',
      async run(context, draft: string) {
        link.provide(await context.waitpoint('approval'))
        const answer = await context.waitFor<{ by: string }>('approval', { timeout: '2d' })
        return [draft, answer.payload.by, answer.name, answer.identity, context.attempt]
      },
    })
    const other = task({ name: 'other', lane: 'approval', run: () => 'done meanwhile' })
    await engine.work([approval, other], { concurrency: 1 })
    const execution = await engine.submit(approval, 'a draft')
    const { token, url } = await link.value
    expect(url).toBe(`https://example.org/signals/${token}`)
    expect(await (await engine.submit(other, undefined)).result()).toBe('done meanwhile')
    const sent = await engine.signal(token, { by: 'Ada' }, { identity: 'ada@example.org' })
    expect(sent.outcome).toBe('accepted')
    const result = ['a draft', 'Ada', 'approval', 'ada@example.org', 0]
    expect(await execution.result()).toEqual(result)
    await refusal(engine.signal(token, { by: 'Bob' }), 'target_not_signalable')
  })

  test('that could not begin begins anew where it was, after a fault of the store', async () => {
    const engine = await open()
    const { backend } = engine
    const link = { ...promised<string>(), isOpen: true }
    const fault = new EngineError('connection_timeout', 'no answer')
    const { suspend, listWaitpoints } = backend
    const once = (operation: 'suspend' | 'listWaitpoints', real: unknown) => {
      const fail = () => {
        backend[operation] = real as never
        return Promise.reject(fault)
      }
      backend[operation] = fail as never
    }
    const stubborn = task({
      name: 'stubborn',
      retry: { attempts: 2, delay: '1ms' },
      async run(context) {
        if (context.attempt === 0) throw new Error('so that the next attempt has to ask')
        if (context.attempt === 1 && link.isOpen) {
          link.isOpen = false
          once('listWaitpoints', listWaitpoints)
          await context.waitpoint('approval').catch((error) => expect(error).toBe(fault))
          link.provide((await context.waitpoint('approval')).token)
          once('suspend', suspend)
          await context.waitFor('approval').catch((error) => expect(error).toBe(fault))
        }
        return (await context.waitFor<string>('approval')).payload
      },
    })
    await engine.work([stubborn])
    const execution = await engine.submit(stubborn, undefined)
    const token = await link.value
    for await (const { event } of engine.events({ from: 'start' })) if (event === 'suspend') break
    expect((await engine.signal(token, 'yes')).outcome).toBe('accepted')
    expect(await execution.result()).toBe('yes')
  })

  test('loses no signal that comes before it, and does not suspend for one', async () => {
    const engine = await open()
    let runs = 0
    const eager = task({
      name: 'eager',
      async run(context) {
        runs += 1
        const { token } = await context.waitpoint('early')
        expect(await context.waitpoint('early')).toEqual({ token, url: undefined })
        await engine.signal(token, 'sent before the wait')
        return (await context.waitFor('early')).payload
      },
    })
    await engine.work([eager])
    const execution = await engine.submit(eager, undefined)
    expect(await execution.result()).toBe('sent before the wait')
    expect(runs).toBe(1)
  })

  test('remembers every answer, in order, when the task runs again', async () => {
    const engine = await open()
    const tokens: string[] = []
    const asking = task({
      name: 'asking',
      async run(context) {
        const answers: unknown[] = []
        for (const name of ['color', 'size', 'color']) {
          const { token } = await context.waitpoint(name)
          if (!tokens.includes(token)) {
            tokens.push(token)
            void engine.signal(token, `${name} ${tokens.length}`)
          }
          answers.push((await context.waitFor(name)).payload)
        }
        return answers
      },
    })
    await engine.work([asking])
    const execution = await engine.submit(asking, undefined)
    expect(await execution.result()).toEqual(['color 1', 'size 2', 'color 3'])
    expect(tokens).toHaveLength(3)
  })

  test('keeps its answer when a later part of the task fails and is tried again', async () => {
    const engine = await open()
    let asked = 0
    const failing = task({
      name: 'failing',
      retry: { attempts: 3, delay: 1 },
      async run(context) {
        const { token } = await context.waitpoint('go')
        if (asked === 0) {
          asked += 1
          void engine.signal(token, { went: true })
          if (context.attempt === 0) throw new Error('before the wait')
        }
        const { payload } = await context.waitFor('go')
        if (context.attempt === 1) throw new Error('after the wait')
        return { payload, attempt: context.attempt }
      },
    })
    await engine.work([failing])
    const execution = await engine.submit(failing, undefined)
    expect(await execution.result()).toEqual({ payload: { went: true }, attempt: 2 })
    expect(asked).toBe(1)
  })

  test('shows all its open waitpoints by two looks, with their tokens', async () => {
    const engine = await open()
    const names = ['a', 'b', 'c']
    const several = task({
      name: 'several',
      async run(context) {
        for (const name of names) await context.waitpoint(name)
        return context.waitFor('a')
      },
    })
    await engine.work([several])
    const execution = await engine.submit(several, undefined)
    for await (const { event } of engine.events({ from: 'start' })) if (event === 'suspend') break
    const asked: string[] = []
    const { backend } = engine
    for (const name of ['listWaitpoints', 'waitpointTokens', 'waitpointToken'] as const) {
      const real = backend[name].bind(backend) as (...args: unknown[]) => never
      Object.assign(backend, {
        [name]: (...args: unknown[]) => {
          asked.push(name)
          return real(...args)
        },
      })
    }
    const found = await execution.waitpoints()
    expect(found.map(({ name }) => name).sort()).toEqual(names)
    expect(asked).toEqual(['listWaitpoints', 'waitpointTokens'])
    const token = found.find(({ name }) => name === 'a')?.token ?? expect.fail('no a')
    await engine.signal(token, 'x')
    expect(await execution.result()).toMatchObject({ payload: 'x' })
  })

  test('follows the wait before it, also when both begin at once', async () => {
    const engine = await open()
    const both = task({
      name: 'both',
      async run(context) {
        const waits = [context.waitFor('legal'), context.waitFor('finance')]
        return (await Promise.all(waits)).map(({ payload }) => payload)
      },
    })
    await engine.work([both])
    const execution = await engine.submit(both, undefined)
    const answer = async (name: string, payload: string) => {
      for await (const _ of engine.events({ from: 'start' })) {
        const open = await execution.waitpoints()
        if (open.some((waitpoint) => waitpoint.name === name)) break
      }
      await execution.signal(name, payload)
    }
    await answer('legal', 'fine')
    await answer('finance', 'paid')
    expect(await execution.result()).toEqual(['fine', 'paid'])
    await refusal(execution.signal('legal', 'again'), 'target_not_signalable')
    await refusal(execution.signal('nobody', 'at all'), 'waitpoint_not_found')
  })

  test('is over when its time is over, with an error that can be caught', async () => {
    const engine = await open()
    const impatient = task({
      name: 'impatient',
      async run(context, isCaught: boolean) {
        try {
          return (await context.waitFor('never', { timeout: 20 })).payload
        } catch (error) {
          if (isCaught && isEngineError(error, 'wait_timed_out')) return 'went on without'
          throw error
        }
      },
    })
    await engine.work([impatient])
    const caught = await engine.submit(impatient, true)
    const thrown = await engine.submit(impatient, false, { retry: { attempts: 5 } })
    expect(await caught.result()).toBe('went on without')
    await refusal(thrown.result(), 'execution_failed', { failureClass: 'permanent' })
  })

  test('takes only what fits: by name, by source, by schema', async () => {
    const engine = await open()
    const link = promised<string>()
    const picky = task({
      name: 'picky',
      async run(context) {
        link.provide((await context.waitpoint('vote')).token)
        const schema = z.object({ yes: z.boolean() })
        const options = { schema, names: ['approved', 'rejected'], from: 'operator' } as const
        const { name, payload } = await context.waitFor('vote', options)
        return { name, yes: payload.yes }
      },
    })
    await engine.work([picky])
    const execution = await engine.submit(picky, undefined)
    const token = await link.value
    await engine.signal(token, { yes: true }, { name: 'approved', source: 'webhook' })
    await engine.signal(token, { yes: true }, { name: 'postponed', source: 'operator' })
    await engine.signal(token, { yes: false }, { name: 'rejected', source: 'operator' })
    expect(await execution.result()).toEqual({ name: 'rejected', yes: false })
    const wrong = await engine.submit(picky, undefined, { idempotencyKey: 'wrong' })
    const waiting = async () => (await wrong.waitpoints())[0]
    for await (const _ of engine.events({ from: 'start' })) if (await waiting()) break
    await wrong.signal('vote', { yes: 'perhaps' }, { name: 'approved', source: 'operator' })
    const failure = refusal(wrong.result(), 'execution_failed', { failureClass: 'permanent' })
    expect((await failure).message).toContain('yes')
  })

  test('can be ended by an operator', async () => {
    const engine = await open()
    const stuck = task({ name: 'stuck', run: (context) => context.waitFor('nobody knows') })
    await engine.work([stuck])
    const refused = await engine.submit(stuck, undefined)
    await refusal(refused.result(), 'execution_failed')
    const waiting = task({ name: 'waiting', run: (context) => context.waitFor('nobody') })
    await engine.work([waiting])
    const execution = await engine.submit(waiting, undefined)
    for await (const { event } of engine.events({ from: 'start' })) if (event === 'suspend') break
    await execution.resume()
    const error = await refusal(execution.result(), 'execution_failed')
    expect(error.message).toContain('wait_overridden')
  })

  test('stops the rest of the task, and takes its signal over HTTP', async () => {
    const engine = await open()
    const link = promised<string>()
    const aborted = promised<unknown>()
    const parallel = task({
      name: 'parallel',
      async run(context) {
        context.signal.addEventListener('abort', () => aborted.provide(context.signal.reason))
        link.provide((await context.waitpoint('hook')).token)
        return (await context.waitFor<{ n: number }>('hook')).payload.n
      },
    })
    await engine.work([parallel])
    const execution = await engine.submit(parallel, undefined)
    const token = await link.value
    expect(isEngineError(await aborted.value, 'execution_not_active')).toBe(true)
    const handler = engine.signalHandler()
    const post = (path: string) =>
      handler(
        new Request(`https://example.org/signals/${path}`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: '{"n":7}',
        }),
      )
    expect((await post(`${token}x`)).status).toBe(401)
    expect((await post(token)).status).toBe(202)
    expect(await execution.result()).toBe(7)
    expect((await post(token)).status).toBe(410)
  })

  test('gives each early signal to a wait of its own, in order', async () => {
    const engine = await open()
    const queued = task({
      name: 'queued',
      async run(context) {
        const { token } = await context.waitpoint('item')
        for (const item of ['first', 'second', 'third']) await engine.signal(token, item)
        const items: unknown[] = []
        for (let at = 0; at < 3; at++) items.push((await context.waitFor('item')).payload)
        return items
      },
    })
    await engine.work([queued])
    const execution = await engine.submit(queued, undefined)
    expect(await execution.result()).toEqual(['first', 'second', 'third'])
  })

  test('is signalled by its name, the second time too, and a repetition is told so', async () => {
    const engine = await open()
    const twice = task({
      name: 'twice',
      async run(context) {
        const first = await context.waitFor('step')
        const second = await context.waitFor('step')
        return [first.name, first.payload, second.name, second.payload]
      },
    })
    await engine.work([twice])
    const execution = await engine.submit(twice, undefined)
    const waiting = async (count: number) => {
      let seen = 0
      for await (const { event } of engine.events({ from: 'start' })) {
        if (event === 'suspend') seen += 1
        if (seen === count) break
      }
    }
    await waiting(1)
    const sent = await execution.signal('step', 1, { idempotencyKey: 'one' })
    await waiting(2)
    const again = await execution.signal('step', 1, { idempotencyKey: 'one' })
    expect(again).toMatchObject({ outcome: 'duplicate', signalId: sent.signalId })
    await execution.signal('step', 2)
    expect(await execution.result()).toEqual(['step', 1, 'step', 2])
    await refusal(execution.signal('step', 3), 'target_not_signalable')
  })

  test('that nobody awaits is reported, and a name that cannot be one fails for good', async () => {
    const reported: unknown[] = []
    const engine = await open({ onError: (error: unknown) => void reported.push(error) })
    const forgetful = task({
      name: 'forgetful',
      run(context) {
        void context.waitFor('forgotten').catch(() => undefined)
        return 'too early'
      },
    })
    const misnamed = task({
      name: 'misnamed',
      run: (context) => context.waitFor('two words'),
    })
    await engine.work([forgetful, misnamed])
    await engine.submit(forgetful, undefined)
    for await (const { event } of engine.events({ from: 'start' })) {
      if (event === 'suspend' || event === 'complete') break
    }
    expect(reported.map(String).join()).toContain('await every waitFor')
    const failed = (await engine.submit(misnamed, undefined)).result()
    await refusal(failed, 'execution_failed')
    for (const name of ['', 'a#1', 'x'.repeat(57)]) {
      const wrong = task({ name: 'wrong', run: (context) => context.waitFor(name) })
      const worker = await engine.work([wrong])
      await refusal((await engine.submit(wrong, undefined)).result(), 'execution_failed')
      await worker.stop()
    }
  })
})
