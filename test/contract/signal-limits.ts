// What senders may not exceed: sizes to the byte, counts to the one, windows to the millisecond.
import { describe, expect, it } from 'vitest'
import { digest } from '../../src/ids.ts'
import type { Signal, SignalDelivery } from '../../src/persistence/backend-suspension.ts'
import type { Open } from '../support/backends.ts'
import {
  claimOne,
  refusal,
  refusedWithoutTrace,
  stateOf,
  submitAndClaim,
} from '../support/executions.ts'
import {
  idOf,
  openSigning,
  satisfiedBy,
  send,
  suspendClaimed,
  suspended,
} from '../support/suspensions.ts'

const operator = { condition: { kind: 'operator' } } as const

export function describeSignalLimits(open: Open): void {
  describe('what one signal may hold', () => {
    it.each<[string, Partial<SignalDelivery>]>([
      ['65,536 bytes of payload', { payload: new Uint8Array(65_536) }],
      ['a name of 64 bytes', { name: 'n'.repeat(64) }],
      ['a category of 64 bytes', { category: 'é'.repeat(32) }],
      ['an identity of 256 bytes', { identity: 'é'.repeat(128) }],
      ['a correlation of 256 bytes', { correlationId: 'c'.repeat(256) }],
      ['a key of 256 bytes', { idempotencyKey: 'k'.repeat(256) }],
      ['a name that begins with one underscore', { name: '_a' }],
      ['the name of the signal that the engine sends', { name: 'timeout' }],
    ])('is %s', async (_what, signal) => {
      const opened = await openSigning(open)
      const { token } = await suspended(opened, operator)
      await send(opened, token, signal)
    })

    it('is read whole, also when all of them together fill more than an answer', async () => {
      const opened = await openSigning(open, { partitions: 1 })
      const { backend } = opened
      const condition = { kind: 'count', count: 80, of: 'signals', waitpoints: ['key'] } as const
      const plan = { waitpoints: [{ key: 'key' }], condition }
      const { id, outcome, token } = await suspended(opened, plan)
      const payloads = Array.from({ length: 80 }, (_, at) => new Uint8Array(65_536).fill(at))
      for (const payload of payloads) await send(opened, token, { payload })
      const wholeOnes = payloads.map((payload) => digest(payload))
      const bytesOf = (signals: readonly Signal[]) =>
        signals.map(({ payload = '' }) => digest(payload))
      expect(bytesOf(await backend.observeSignals(outcome.handle))).toEqual(wholeOnes)
      const local = id.slice(id.indexOf('-') + 1)
      const answer = await opened.store.call(0, 'signal.observe', { id: local, attempt: 0 })
      const leftOut = 'signals' in answer ? answer.signals.filter((row) => row.left_out) : []
      expect(leftOut.map(({ position }) => position)).toEqual(
        Array.from({ length: 16 }, (_, at) => 65 + at),
      )
      const [point] = (await backend.listWaitpoints(id, { withSignals: true })).items
      expect(bytesOf(point?.signals ?? [])).toEqual(wholeOnes)
      const first = await backend.listSignals(id, 0, 1000)
      expect(bytesOf(first.items)).toEqual(wholeOnes.slice(0, 64))
      const second = await backend.listSignals(id, first.nextCursor ?? 0, 1000)
      expect(bytesOf(second.items)).toEqual(wholeOnes.slice(64))
      expect(second.nextCursor).toBeUndefined()
    })

    it('is not one byte of payload more (S-W12, S-C14)', async () => {
      const opened = await openSigning(open)
      const { token } = await suspended(opened, operator)
      const payload = new Uint8Array(65_537)
      const call = () => opened.backend.deliverSignal({ token, payload })
      await refusedWithoutTrace(opened, call, 'payload_too_large')
    })

    it.each<[string, Partial<SignalDelivery>]>([
      ['a name of 65 bytes', { name: 'n'.repeat(65) }],
      ['a name of 33 letters of two bytes', { name: 'é'.repeat(33) }],
      ['no name at all', { name: '' }],
      ['a name with white space', { name: 'a b' }],
      ['a name that begins like the engine’s own (S-W8)', { name: '__operator_only__' }],
      ['a category of 65 bytes', { category: 'c'.repeat(65) }],
      ['the category of the engine’s own (S-W11)', { category: 'timeout' }],
      ['a source of 65 bytes', { source: 's'.repeat(65) }],
      ['the source of the engine’s own (S-W11)', { source: 'engine' }],
      ['an encoding of 65 bytes', { encoding: 'e'.repeat(65) }],
      ['an identity of 257 bytes', { identity: 'i'.repeat(257) }],
      ['a correlation of 257 bytes', { correlationId: 'c'.repeat(257) }],
      ['a key of 257 bytes', { idempotencyKey: 'k'.repeat(257) }],
      ['an id of 21 characters', { signalId: 'x'.repeat(21) }],
      ['an id that is no id', { signalId: `timeout:${'x'.repeat(14)}` }],
      ['a time that is none', { createdAtMs: -1 }],
      ['a payload that is no bytes', { payload: 'text' as unknown as Uint8Array }],
    ])('is not %s', async (_what, signal) => {
      const opened = await openSigning(open)
      const { token } = await suspended(opened)
      const call = () => opened.backend.deliverSignal({ token, ...signal })
      await refusedWithoutTrace(opened, call, 'invalid_input')
    })

    it('is decided by the engine, not by what a sender adds (S-W5, S-W12)', async () => {
      const opened = await openSigning(open)
      const { token, id } = await suspended(opened)
      const wishes = { resumeDelayMs: 5000, signalMaxlen: 1, maxSignalsPerExecution: 0 }
      await opened.backend.deliverSignal({ token, ...wishes })
      expect(await stateOf(opened.backend, id)).toBe('runnable.resumed')
    })
  })

  describe('how many signals are taken', () => {
    it('is told to senders and set by operators, field by field', async () => {
      const opened = await openSigning(open)
      const { backend } = opened
      expect(await backend.allowSignals({})).toEqual({
        signalsPerExecution: 10_000,
        signalsPerSuspension: 1000,
        signalsPerSender: 600,
        senderWindowMs: 60_000,
      })
      await backend.allowSignals({ signalsPerSender: 5 })
      expect(await backend.allowSignals({ senderWindowMs: 1 })).toMatchObject({
        signalsPerExecution: 10_000,
        signalsPerSender: 5,
        senderWindowMs: 1,
      })
      const { backend: other } = await opened.peer()
      expect(await other.allowSignals({})).toMatchObject({ signalsPerSender: 5 })
    })

    it.each<[string, object]>([
      ['none', { signalsPerExecution: 0 }],
      ['too many', { signalsPerSuspension: 1_000_001 }],
      ['a fraction', { signalsPerSender: 1.5 }],
      ['no time', { senderWindowMs: 0 }],
      ['more than a day', { senderWindowMs: 86_400_001 }],
    ])('is never %s', async (_what, policy) => {
      const opened = await openSigning(open)
      const call = () => opened.backend.allowSignals(policy)
      await refusedWithoutTrace(opened, call, 'invalid_input')
    })

    it('is bounded per execution, suspensions taken together', async () => {
      const opened = await openSigning(open)
      const { backend } = opened
      await backend.allowSignals({ signalsPerExecution: 3 })
      const { token, id } = await suspended(opened, operator)
      await send(opened, token)
      await send(opened, token, { idempotencyKey: 'once' })
      await backend.resumeExecution(id)
      const again = await suspendClaimed(opened, await claimOne(backend), operator)
      await send(opened, again.token)
      const call = () => backend.deliverSignal({ token: again.token })
      const details = { limit: 'signals_per_execution', max: '3' }
      await refusedWithoutTrace(opened, call, 'signal_limit_exceeded', details)
      // What was accepted before is told all the same (S-W15).
      expect(await backend.deliverSignal({ token, idempotencyKey: 'once' })).toMatchObject({
        outcome: 'duplicate',
      })
    })

    it('is bounded per suspension, and begins anew with the next (S-W25)', async () => {
      const opened = await openSigning(open)
      const { backend } = opened
      await backend.allowSignals({ signalsPerSuspension: 2 })
      let claimed = await submitAndClaim(backend)
      for (let round = 0; round < 4; round++) {
        const { token, id } = await suspendClaimed(opened, claimed, operator)
        await send(opened, token)
        await send(opened, token)
        const call = () => backend.deliverSignal({ token })
        const details = { limit: 'signals_per_suspension', max: '2' }
        await refusedWithoutTrace(opened, call, 'signal_limit_exceeded', details)
        await backend.resumeExecution(id)
        claimed = await claimOne(backend)
      }
    })

    it('that come early is bounded per waitpoint, and all of them count (S-W25)', async () => {
      const opened = await openSigning(open, { partitions: 1 })
      const { backend } = opened
      await backend.allowSignals({ signalsPerSender: 10_000 })
      const claimed = await submitAndClaim(backend)
      const { token } = await backend.createWaitpoint(claimed.handle, 'early')
      const deliver = () => backend.deliverSignal({ token })
      await Promise.all(Array.from({ length: 1000 }, deliver))
      const details = { limit: 'buffered_signals', max: '1000' }
      await refusedWithoutTrace(opened, deliver, 'signal_limit_exceeded', details)
      const other = await backend.createWaitpoint(claimed.handle, 'other')
      await send(opened, other.token)
      const answer = await backend.suspend(claimed.handle, [{ token, key: 'early' }], {
        condition: { kind: 'count', count: 1000, of: 'signals', waitpoints: ['early'] },
      })
      expect(satisfiedBy(answer).signals).toHaveLength(1000)
    })

    it('is bounded per sender and window, to the millisecond', async () => {
      const opened = await openSigning(open)
      const { backend, clock } = opened
      await backend.allowSignals({ signalsPerSender: 2, senderWindowMs: 1000 })
      const { token } = await suspended(opened, operator)
      const other = await suspended(opened, { ...operator, submission: { lane: 'other' } })
      const by = (identity: string, source = 'webhook', at = token) => ({
        identity,
        source,
        token: at,
      })
      const limited = async (signal: SignalDelivery, retryAfterMs: number) => {
        const call = () => backend.deliverSignal(signal)
        const error = await refusedWithoutTrace(opened, call, 'signal_rate_limited', {
          retry_after_ms: String(retryAfterMs),
        })
        expect(error).toMatchObject({ retryable: true, family: 'ResourceExhausted' })
      }
      await backend.deliverSignal(by('ann'))
      await clock.advance(400)
      await backend.deliverSignal(by('ann'))
      await limited(by('ann'), 600)
      // Others are not held up: another identity, another source, another execution.
      await backend.deliverSignal(by('bob'))
      await backend.deliverSignal(by('ann', 'operator'))
      await backend.deliverSignal(by('ann', 'webhook', other.token))
      await clock.advance(599)
      await limited(by('ann'), 1)
      await clock.advance(1)
      await backend.deliverSignal(by('ann'))
      await backend.deliverSignal(by('ann'))
      await limited(by('ann'), 1000)
    })

    it('holds up no sender whose names only look like another’s', async () => {
      const opened = await openSigning(open)
      const { backend } = opened
      await backend.allowSignals({ signalsPerSender: 1 })
      const { token } = await suspended(opened, operator)
      for (const [source, identity] of [
        ['a:b', 'c'],
        ['a', 'b:c'],
        ['a', ':b:c'],
        ['1:a', ''],
        ['a', ''],
      ]) {
        await backend.deliverSignal({ token, source, identity: identity as string })
      }
    })

    it('counts no repetition and no refusal', async () => {
      const opened = await openSigning(open)
      const { backend } = opened
      await backend.allowSignals({ signalsPerSender: 2, signalsPerExecution: 2 })
      const { token } = await suspended(opened, operator)
      await send(opened, token, { idempotencyKey: 'once' })
      for (let round = 0; round < 5; round++) {
        await backend.deliverSignal({ token, idempotencyKey: 'once' })
        await refusal(backend.deliverSignal({ token, signalId: 'short' }), 'invalid_input')
      }
      await send(opened, token)
    })
  })

  describe('how many waitpoints one execution issues', () => {
    it('is ten thousand over its life, in whatever way', async () => {
      const opened = await openSigning(open, { partitions: 1 })
      const { backend } = opened
      const claimed = await submitAndClaim(backend)
      const create = () => backend.createWaitpoint(claimed.handle, 'key')
      for (let round = 0; round < 10; round++) {
        await Promise.all(Array.from({ length: round < 9 ? 1000 : 998 }, create))
      }
      const specs = (count: number) => Array.from({ length: count }, (_, at) => ({ key: `k${at}` }))
      const three = () => backend.suspend(claimed.handle, specs(3))
      await refusedWithoutTrace(opened, three, 'waitpoint_limit_exceeded')
      const last = { waitpointId: idOf('last') }
      await backend.createWaitpoint(claimed.handle, 'key', undefined, last)
      await backend.suspend(claimed.handle, specs(1))
      const page = await backend.listWaitpoints(claimed.executionId, { limit: 5000 })
      expect(page.items).toHaveLength(1000)
      await backend.resumeExecution(claimed.executionId)
      const again = await claimOne(backend)
      const more = () => backend.createWaitpoint(again.handle, 'key')
      await refusedWithoutTrace(opened, more, 'waitpoint_limit_exceeded')
    })
  })
}
