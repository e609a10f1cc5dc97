// Signals: what is accepted, what each does, what is kept of it, and who is told what.
import { describe, expect, it } from 'vitest'
import type { SignalDelivery } from '../../src/persistence/backend-suspension.ts'
import type { Open } from '../support/backends.ts'
import {
  bytes,
  claimOne,
  describeOne,
  refusal,
  refusedWithoutTrace,
  stateOf,
  submitAndClaim,
  withoutTrace,
} from '../support/executions.ts'
import { approval, idOf, openSigning, send, suspended } from '../support/suspensions.ts'

const everyByte = Uint8Array.from({ length: 256 }, (_, value) => value)

const payloads: readonly (readonly [string, Uint8Array])[] = [
  ['nothing', new Uint8Array(0)],
  ['every byte there is', everyByte],
  ['a view into a larger buffer', new Uint8Array(everyByte.buffer, 100, 56)],
  ['bytes that are no UTF-8', Uint8Array.of(0xff, 0xfe, 0xc0, 0x80, 0xed, 0xa0, 0x80)],
  ['what looks like an argument', bytes('1')],
  ['as much as there may be', Uint8Array.from({ length: 65_536 }, (_, at) => (at * 7) % 256)],
]

export function describeSignals(open: Open): void {
  describe('a signal', () => {
    it('is kept with all that its sender said, and the time of the server', async () => {
      const opened = await openSigning(open)
      const { backend, clock } = opened
      const { id, token, waitpoints } = await suspended(opened)
      const { waitpointId } = waitpoints[0]!
      await clock.advance(50)
      const answer = await backend.deliverSignal({
        token,
        executionId: id,
        waitpointId,
        signalId: idOf('signal'),
        name: 'approved',
        category: 'approval',
        source: 'operator',
        identity: 'ann@example.com',
        correlationId: 'order 7/é',
        idempotencyKey: 'a key: 1',
        encoding: 'json',
        createdAtMs: 7,
        payload: bytes('{}'),
      })
      expect(answer).toEqual({
        outcome: 'accepted',
        signalId: idOf('signal'),
        effect: 'resume_condition_satisfied',
      })
      const { items, nextCursor } = await backend.listSignals(id, 0, 10)
      expect(nextCursor).toBeUndefined()
      expect(items).toEqual([
        {
          position: 1,
          signalId: idOf('signal'),
          waitpointId,
          name: 'approved',
          category: 'approval',
          source: 'operator',
          identity: 'ann@example.com',
          correlationId: 'order 7/é',
          idempotencyKey: 'a key: 1',
          encoding: 'json',
          acceptedAtMs: clock.nowMs(),
          createdAtMs: 7,
          effect: 'resume_condition_satisfied',
          payload: expect.anything(),
        },
      ])
      const { handle } = await claimOne(backend)
      expect(await backend.observeSignals(handle)).toEqual(items)
    })

    it('needs no more than a token', async () => {
      const opened = await openSigning(open)
      const { backend } = opened
      const { id, token } = await suspended(opened)
      const { signalId } = await backend.deliverSignal({ token })
      expect((await backend.listSignals(id, 0, 1)).items).toMatchObject([
        {
          signalId,
          name: 'approval',
          category: 'custom',
          source: 'external_api',
          identity: '',
          correlationId: '',
          idempotencyKey: undefined,
          encoding: 'binary',
          createdAtMs: undefined,
          payload: undefined,
        },
      ])
    })

    it.each(payloads)('carries its bytes unchanged: %s (S-W32, S-C14)', async (_what, payload) => {
      const opened = await openSigning(open)
      const { backend } = opened
      const claimed = await submitAndClaim(backend)
      const early = await backend.createWaitpoint(claimed.handle, 'early')
      await send(opened, early.token, { payload })
      const answer = await backend.suspend(claimed.handle, [{ token: early.token }])
      expect(answer.outcome).toBe('already_satisfied')
      const observed = await backend.observeSignals(claimed.handle)
      const listed = await backend.listSignals(claimed.executionId, 0, 1)
      for (const signal of [observed[0], listed.items[0]]) {
        expect(Buffer.compare(signal?.payload as Uint8Array, payload)).toBe(0)
      }
    })

    it('keeps its bytes when the sender changes them afterwards', async () => {
      const opened = await openSigning(open)
      const { backend } = opened
      const { id, token } = await suspended(opened)
      const payload = Buffer.from('before')
      const sending = backend.deliverSignal({ token, payload })
      await sending
      payload.fill(0)
      const { items } = await backend.listSignals(id, 0, 1)
      expect(Buffer.from(items[0]!.payload!).toString()).toBe('before')
      items[0]!.payload!.fill(0)
      const { items: again } = await backend.listSignals(id, 0, 1)
      expect(Buffer.from(again[0]!.payload!).toString()).toBe('before')
    })

    it.each([
      ['words with white space that is not ASCII', 'a\u00a0b\u3000c\u2028d'],
      ['signs from everywhere', 'größe-量子-🧿'],
      ['64 bytes', 'n'.repeat(64)],
    ])('may have a name and a waitpoint of %s', async (_what, word) => {
      const opened = await openSigning(open)
      const { backend } = opened
      const { id, token } = await suspended(opened, {
        waitpoints: [{ key: word, match: { names: [word] } }],
      })
      const signal = { name: word, category: word, source: word, encoding: word, identity: word }
      expect(await send(opened, token, signal)).toBe('resume_condition_satisfied')
      expect((await backend.listSignals(id, 0, 1)).items).toMatchObject([signal])
      expect((await backend.listWaitpoints(id)).items).toMatchObject([{ key: word }])
    })

    it('may have texts of all kinds', async () => {
      const opened = await openSigning(open)
      const { backend } = opened
      const { id, waitpoints } = await suspended(opened, {
        waitpoints: approval,
        condition: { kind: 'operator' },
      })
      const { token } = waitpoints[0]!
      const texts = ['', '0', '1:a', 'a\r\n\t\u0000b', ' 12 ', 'é'.repeat(128), '🧿'.repeat(64)]
      for (const text of texts) {
        const answer = await backend.deliverSignal({
          token,
          identity: text,
          correlationId: text,
          idempotencyKey: text === '' ? undefined : text,
        })
        expect(answer.outcome).toBe('accepted')
      }
      const { items } = await backend.listSignals(id, 0, 100)
      expect(items.map(({ identity }) => identity)).toEqual(texts)
      expect(items.map(({ correlationId }) => correlationId)).toEqual(texts)
      expect(items.map(({ idempotencyKey = '' }) => idempotencyKey)).toEqual(texts)
    })

    it('is kept also when it does not help (S-W31)', async () => {
      const opened = await openSigning(open)
      const { backend } = opened
      const { id, waitpoints, token } = await suspended(opened, {
        waitpoints: [{ key: 'a' }, { key: 'b' }],
        condition: {
          kind: 'all',
          of: [
            {
              kind: 'count',
              count: 2,
              of: 'sources',
              waitpoints: ['a'],
              match: { names: ['yes'] },
            },
            { kind: 'single', waitpoint: 'b' },
          ],
        },
      })
      const effects = [
        await send(opened, token, { name: 'no', identity: 'ann' }),
        await send(opened, token, { name: 'yes', identity: 'ann' }),
        await send(opened, token, { name: 'yes', identity: 'ann' }),
        await send(opened, waitpoints[1]!.token),
        await send(opened, token, { name: 'yes', identity: 'bob' }),
      ]
      expect(effects).toEqual([
        'signal_ignored_matcher_failed',
        'appended_to_waitpoint',
        'appended_to_waitpoint_duplicate',
        'appended_to_waitpoint',
        'resume_condition_satisfied',
      ])
      const { items } = await backend.listSignals(id, 0, 10)
      expect(items.map(({ effect }) => effect)).toEqual(effects)
      expect(items.map(({ position }) => position)).toEqual([1, 2, 3, 4, 5])
      const { handle } = await claimOne(backend)
      const observed = await backend.observeSignals(handle)
      expect(observed.map(({ position }) => position)).toEqual([2, 4, 5])
    })

    it('is listed page by page, in the order of acceptance', async () => {
      const opened = await openSigning(open)
      const { backend } = opened
      const { id, token } = await suspended(opened, { condition: { kind: 'operator' } })
      for (let at = 0; at < 7; at++) await send(opened, token, { name: `n${at}` })
      const names: string[] = []
      let after: number | undefined = 0
      while (after !== undefined) {
        const page = await backend.listSignals(id, after, 3)
        names.push(...page.items.map(({ name }) => name))
        after = page.nextCursor
      }
      expect(names).toEqual(Array.from({ length: 7 }, (_, at) => `n${at}`))
      expect((await backend.listSignals(id, 7, 3)).items).toEqual([])
      expect((await backend.listSignals(id, 1000, 3)).items).toEqual([])
      await refusal(backend.listSignals(id, -1, 3), 'invalid_input')
      await refusal(backend.listSignals(id, 0, -1), 'invalid_input')
    })
  })

  describe('a signal that is sent again', () => {
    it('with its key is told what the first did, also after the end (S-W15, S-C9)', async () => {
      const opened = await openSigning(open)
      const { backend } = opened
      const { id, token, waitpoints } = await suspended(opened, {
        waitpoints: [{ key: 'a' }, { key: 'b' }],
      })
      const delivery = { token, idempotencyKey: 'once', payload: bytes('x') }
      const first = await backend.deliverSignal(delivery)
      const told = { outcome: 'duplicate', signalId: first.signalId, effect: first.effect }
      const again = () => backend.deliverSignal(delivery)
      expect(await withoutTrace(opened, again)).toEqual(told)
      const { handle } = await claimOne(backend)
      expect(await withoutTrace(opened, again)).toEqual(told)
      await backend.complete(handle)
      expect(await withoutTrace(opened, again)).toEqual(told)
      // With other content, too: the key is what the sender says makes it one signal.
      const other = () => backend.deliverSignal({ ...delivery, payload: bytes('y') })
      expect(await withoutTrace(opened, other)).toEqual(told)
      // The same key at another waitpoint is another signal.
      const elsewhere = { token: waitpoints[1]!.token, idempotencyKey: 'once' }
      await refusal(backend.deliverSignal(elsewhere), 'target_not_signalable')
      expect((await backend.listSignals(id, 0, 10)).items).toHaveLength(1)
    })

    it('under its id is told what it did, unless it says something else', async () => {
      const opened = await openSigning(open)
      const { backend } = opened
      const { id, token, waitpoints } = await suspended(opened, {
        waitpoints: [{ key: 'a' }, { key: 'b' }],
        condition: { kind: 'operator' },
      })
      const delivery: SignalDelivery = {
        token,
        signalId: idOf('mine'),
        identity: 'ann',
        payload: bytes('x'),
      }
      await backend.deliverSignal(delivery)
      const again = () => backend.deliverSignal(delivery)
      expect(await withoutTrace(opened, again)).toMatchObject({
        outcome: 'duplicate',
        signalId: idOf('mine'),
      })
      const others: Partial<SignalDelivery>[] = [
        { payload: bytes('y') },
        { payload: undefined },
        { identity: 'bob' },
        { correlationId: 'c' },
        { name: 'other' },
        { category: 'other' },
        { source: 'webhook' },
        { encoding: 'json' },
        { idempotencyKey: 'key' },
        { token: waitpoints[1]!.token },
      ]
      for (const change of others) {
        const call = () => backend.deliverSignal({ ...delivery, ...change })
        await refusedWithoutTrace(opened, call, 'invalid_input')
      }
      // When it was said decides nothing.
      expect(await backend.deliverSignal({ ...delivery, createdAtMs: 5 })).toMatchObject({
        outcome: 'duplicate',
      })
      expect((await backend.listSignals(id, 0, 10)).items).toHaveLength(1)
    })

    it('by the store, after a lost answer, is no duplicate for its sender', async () => {
      const opened = await openSigning(open)
      const { backend, store } = opened
      const { token } = await suspended(opened)
      await backend.deliverSignal({ token })
      const { args, partition } = store.calls.findLast(({ name }) => name === 'signal.deliver')!
      const before = await opened.dump()
      expect(await store.call(partition, 'signal.deliver', args as never)).toMatchObject({
        outcome: 'duplicate',
        signal: args.signal,
      })
      expect(await opened.dump()).toEqual(before)
    })

    it('without key and id is another signal', async () => {
      const opened = await openSigning(open)
      const { id, token } = await suspended(opened, { condition: { kind: 'operator' } })
      const ids = [
        await opened.backend.deliverSignal({ token }),
        await opened.backend.deliverSignal({ token }),
      ]
      expect(new Set(ids.map(({ signalId }) => signalId)).size).toBe(2)
      expect((await opened.backend.listSignals(id, 0, 10)).items).toHaveLength(2)
      const empty = () => opened.backend.deliverSignal({ token, idempotencyKey: '' })
      await refusedWithoutTrace(opened, empty, 'invalid_input', { argument: 'idempotencyKey' })
    })

    it('was not accepted when it was refused: a rejected key is free', async () => {
      const opened = await openSigning(open)
      const { backend } = opened
      const { token } = await suspended(opened)
      const large = new Uint8Array(65_537)
      await refusal(
        backend.deliverSignal({ token, idempotencyKey: 'once', payload: large }),
        'payload_too_large',
      )
      expect(await backend.deliverSignal({ token, idempotencyKey: 'once' })).toMatchObject({
        outcome: 'accepted',
      })
    })
  })

  describe('a signal comes too late', () => {
    it('for a closed waitpoint, whatever the execution does next (S-W1, S-W15, S-C4)', async () => {
      const opened = await openSigning(open)
      const { backend } = opened
      const { id, token, waitpoints } = await suspended(opened, {
        waitpoints: [{ key: 'a' }, { key: 'b' }],
      })
      await send(opened, token)
      const tokens = waitpoints.map((issued) => issued.token)
      const closed = async () => {
        for (const late of tokens) {
          const call = () => backend.deliverSignal({ token: late })
          await refusedWithoutTrace(opened, call, 'waitpoint_closed')
        }
      }
      await closed()
      const second = await claimOne(backend)
      await closed()
      await backend.suspend(second.handle, [{ key: 'a' }, { key: 'b' }])
      await closed()
      expect(await stateOf(backend, id)).toBe('suspended')
      await backend.resumeExecution(id)
      const third = await claimOne(backend)
      await backend.complete(third.handle)
      for (const late of tokens) {
        const call = () => backend.deliverSignal({ token: late })
        await refusedWithoutTrace(opened, call, 'target_not_signalable')
      }
    })

    it.each([
      ['completed', 'target_not_signalable'],
      ['cancelled', 'target_not_signalable'],
    ] as const)('for an execution that was %s', async (how, code) => {
      const opened = await openSigning(open)
      const { backend } = opened
      const { id, token } = await suspended(opened)
      if (how === 'completed') {
        await backend.resumeExecution(id)
        await backend.complete((await claimOne(backend)).handle)
      } else {
        await backend.cancelExecution(id, 'over')
      }
      await refusedWithoutTrace(opened, () => backend.deliverSignal({ token }), code)
      await backend.replayExecution(id)
      await refusedWithoutTrace(opened, () => backend.deliverSignal({ token }), 'waitpoint_closed')
      expect(await describeOne(backend, id)).toMatchObject({ state: 'runnable.ready' })
    })
  })
}
