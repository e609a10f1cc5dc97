// Waitpoints: issuing them before their suspension, closing them, reading them.
import { describe, expect, it } from 'vitest'
import type { WaitpointSummary } from '../../src/persistence/backend-suspension.ts'
import type { Open, OpenedBackend } from '../support/backends.ts'
import {
  bytes,
  claimOne,
  describeOne,
  forged,
  refusal,
  refusedWithoutTrace,
  submit,
  submitAndClaim,
  sweepAll,
  withoutTrace,
} from '../support/executions.ts'
import { withoutFeed } from '../support/feed.ts'
import {
  approval,
  idOf,
  openSigning,
  send,
  suspendClaimed,
  suspended,
} from '../support/suspensions.ts'

const yearMs = 366 * 86_400_000

async function listed(
  { backend }: OpenedBackend,
  id: string,
  waitpointId: string,
): Promise<WaitpointSummary> {
  const { items } = await backend.listWaitpoints(id)
  const found = items.find((item) => item.waitpointId === waitpointId)
  expect(found).toBeDefined()
  return found as WaitpointSummary
}

export function describeWaitpoints(open: Open): void {
  describe('createWaitpoint', () => {
    it('issues a waitpoint and leaves the execution as it is', async () => {
      const opened = await openSigning(open)
      const { backend, clock } = opened
      const { handle, executionId } = await submitAndClaim(backend)
      const before = await describeOne(backend, executionId)
      await clock.advance(10)
      const issued = await backend.createWaitpoint(handle, 'callback', 5000)
      expect(issued).toMatchObject({ key: 'callback', replayed: false })
      expect(issued.expiresAtMs).toBe(clock.nowMs() + 5000)
      expect(await describeOne(backend, executionId)).toEqual(before)
      expect(await listed(opened, executionId, issued.waitpointId)).toEqual({
        waitpointId: issued.waitpointId,
        key: 'callback',
        state: 'pending',
        scope: 'attempt',
        attempt: 0,
        isCurrent: true,
        suspensionId: undefined,
        createdAtMs: clock.nowMs(),
        expiresAtMs: clock.nowMs() + 5000,
        closedAtMs: undefined,
        closeReason: undefined,
        signalCount: 0,
        lastSignalAtMs: undefined,
        keyId: 'k1',
        tokenFingerprint: expect.stringMatching(/^k1:[0-9a-f]{16}$/),
        signals: [],
      })
    })

    it('issues a new one each time, for an equal key too, and without an end', async () => {
      const { backend } = await openSigning(open)
      const { handle, executionId } = await submitAndClaim(backend)
      const [a, b] = [
        await backend.createWaitpoint(handle, 'key'),
        await backend.createWaitpoint(handle, 'key'),
      ]
      expect(a.waitpointId).not.toBe(b.waitpointId)
      expect(a.token).not.toBe(b.token)
      expect([a.expiresAtMs, b.expiresAtMs]).toEqual([undefined, undefined])
      expect((await backend.listWaitpoints(executionId)).items).toHaveLength(2)
    })

    it('under an own id can be repeated, with the same token, by any process', async () => {
      const opened = await openSigning(open)
      const { backend } = opened
      const { handle } = await submitAndClaim(backend)
      const options = { waitpointId: idOf('mine'), scope: 'run' } as const
      const first = await backend.createWaitpoint(handle, 'key', 5000, options)
      await opened.clock.advance(100)
      const { backend: other } = await opened.peer()
      for (const peer of [backend, other]) {
        const again = () => peer.createWaitpoint(handle, 'key', 5000, options)
        expect(await withoutTrace(opened, again)).toEqual({ ...first, replayed: true })
      }
      await send(opened, first.token)
      expect(await backend.createWaitpoint(handle, 'key', 5000, options)).toMatchObject({
        token: first.token,
        replayed: true,
      })
    })

    it('under a known id with another key or scope, or once it is used, is refused', async () => {
      const opened = await openSigning(open)
      const { backend } = opened
      const { handle } = await submitAndClaim(backend)
      const create = (key: string, scope: 'attempt' | 'run') => () =>
        backend.createWaitpoint(handle, key, undefined, { waitpointId: idOf('mine'), scope })
      const { waitpointId } = await create('key', 'attempt')()
      const exists = 'waitpoint_already_exists'
      await refusedWithoutTrace(opened, create('other', 'attempt'), exists)
      await refusedWithoutTrace(opened, create('key', 'run'), exists)
      await backend.closeWaitpoint(handle, waitpointId)
      await refusedWithoutTrace(opened, create('key', 'attempt'), exists)
    })

    it('is not answered with the waitpoint of an earlier attempt, which is dead', async () => {
      const opened = await openSigning(open)
      const { backend, clock } = opened
      const first = await submitAndClaim(backend, { retry: { attempts: 2, delayMs: 1 } })
      const options = { waitpointId: idOf('mine') }
      await backend.createWaitpoint(first.handle, 'key', undefined, options)
      await backend.fail(first.handle, { message: 'oops' }, 'transient')
      await clock.advance(1)
      const second = await claimOne(backend)
      const again = () => backend.createWaitpoint(second.handle, 'key', undefined, options)
      await refusedWithoutTrace(opened, again, 'waitpoint_already_exists')
    })

    it.each([
      ['leaseId', 'guessed.1'],
      ['epoch', 7],
      ['attempt', 3],
    ] as const)('needs the whole fence: not with another %s (S-W16)', async (part, value) => {
      const opened = await openSigning(open)
      const { handle } = await submitAndClaim(opened.backend)
      const call = () => opened.backend.createWaitpoint(forged(handle, part, value), 'key')
      await refusedWithoutTrace(opened, call, 'stale_lease')
    })

    it('needs a lease that has not run out, by the clock of the server (S-W16)', async () => {
      const opened = await openSigning(open)
      const { backend, clock } = opened
      const { executionId, handle } = await submitAndClaim(backend, {}, { leaseMs: 1000 })
      await clock.advance(999)
      await backend.createWaitpoint(handle, 'key')
      await clock.advance(1)
      await refusal(backend.createWaitpoint(handle, 'key'), 'lease_expired')
      expect((await backend.listWaitpoints(executionId)).items).toHaveLength(1)
      const { lease } = await suspended(opened, { submission: { lane: 'other' } })
      await refusal(backend.createWaitpoint(lease, 'key'), 'execution_not_active')
    })

    it.each<[string, string, number | undefined, object]>([
      ['an empty key', '', undefined, {}],
      ['a key of 65 bytes', 'k'.repeat(65), undefined, {}],
      ['a key with a comma', 'a,b', undefined, {}],
      ['less than a second', 'key', 999, {}],
      ['more than a year and a day', 'key', yearMs + 1, {}],
      ['an unknown scope', 'key', undefined, { scope: 'flow' }],
      ['an id of 21 characters', 'key', undefined, { waitpointId: 'x'.repeat(21) }],
      ['an id of 23 characters', 'key', undefined, { waitpointId: 'x'.repeat(23) }],
    ])('refuses %s, and leaves no trace', async (_what, key, expiresInMs, options) => {
      const opened = await openSigning(open)
      const { handle } = await submitAndClaim(opened.backend)
      const call = () => opened.backend.createWaitpoint(handle, key, expiresInMs, options)
      await refusedWithoutTrace(opened, call, 'invalid_input')
    })

    it('takes the longest key and both ends of the time', async () => {
      const { backend } = await openSigning(open)
      const { handle } = await submitAndClaim(backend)
      const key = 'é'.repeat(32)
      expect(await backend.createWaitpoint(handle, key, 1000)).toMatchObject({ key })
      expect(await backend.createWaitpoint(handle, key, yearMs)).toMatchObject({ key })
    })
  })

  describe('a waitpoint that nobody uses', () => {
    it('dies to the millisecond, with no sweep, whatever clocks say (S-W16, S-R10)', async () => {
      const opened = await openSigning(open)
      const { backend, clock } = opened
      const { executionId, handle } = await submitAndClaim(backend)
      const { token, waitpointId } = await backend.createWaitpoint(handle, 'key', 1000)
      await clock.advance(999)
      expect(await send(opened, token)).toBe('buffered_for_pending_waitpoint')
      expect(await listed(opened, executionId, waitpointId)).toMatchObject({ state: 'pending' })
      await clock.advance(1)
      await refusedWithoutTrace(
        opened,
        () => backend.deliverSignal({ token, createdAtMs: 0 }),
        'waitpoint_closed',
      )
      const suspend = () => backend.suspend(handle, [{ token }])
      await refusedWithoutTrace(opened, suspend, 'pending_waitpoint_expired')
      expect(await listed(opened, executionId, waitpointId)).toMatchObject({
        state: 'expired',
        signalCount: 1,
      })
      expect((await backend.listSignals(executionId, 0, 10)).items).toMatchObject([
        { effect: 'no_op_waitpoint_never_activated' },
      ])
    })

    it('leaves its time behind once a suspension uses it', async () => {
      const opened = await openSigning(open)
      const { backend, clock } = opened
      const claimed = await submitAndClaim(backend)
      const { token } = await backend.createWaitpoint(claimed.handle, 'key', 1000)
      await suspendClaimed(opened, claimed, { waitpoints: [{ token }] })
      await clock.advance(5000)
      expect(await send(opened, token)).toBe('resume_condition_satisfied')
    })

    it('can be closed by the holder of the lease, and takes no signal then (S-W1)', async () => {
      const opened = await openSigning(open)
      const { backend, clock } = opened
      const claimed = await submitAndClaim(backend)
      const { executionId, handle } = claimed
      const { token, waitpointId } = await backend.createWaitpoint(handle, 'key')
      await send(opened, token)
      await clock.advance(10)
      expect(await backend.closeWaitpoint(handle, waitpointId, 'no_need')).toEqual({
        outcome: 'closed',
        replayed: false,
      })
      const again = () => backend.closeWaitpoint(handle, waitpointId)
      expect(await withoutTrace(opened, again)).toEqual({ outcome: 'closed', replayed: true })
      expect(await listed(opened, executionId, waitpointId)).toMatchObject({
        state: 'closed',
        closedAtMs: clock.nowMs(),
        closeReason: 'no_need',
      })
      await refusedWithoutTrace(opened, () => backend.deliverSignal({ token }), 'waitpoint_closed')
      await suspendClaimed(opened, claimed)
      await refusedWithoutTrace(opened, () => backend.deliverSignal({ token }), 'waitpoint_closed')
      expect((await backend.listSignals(executionId, 0, 10)).items).toMatchObject([
        { effect: 'no_op_waitpoint_never_activated' },
      ])
    })

    it('is closed by nobody else, and only where it is', async () => {
      const opened = await openSigning(open)
      const { backend } = opened
      const { handle } = await submitAndClaim(backend)
      const { waitpointId } = await backend.createWaitpoint(handle, 'key')
      const close = (holder: typeof handle, id: string, reason?: string) => () =>
        backend.closeWaitpoint(holder, id, reason)
      const stale = forged(handle, 'leaseId', 'guessed.1')
      await refusedWithoutTrace(opened, close(stale, waitpointId), 'stale_lease')
      await refusedWithoutTrace(opened, close(handle, idOf('none')), 'waitpoint_not_found')
      await refusedWithoutTrace(opened, close(handle, 'short'), 'invalid_input')
      await refusedWithoutTrace(opened, close(handle, waitpointId, 'two words'), 'invalid_input')
    })
  })

  describe('listWaitpoints', () => {
    it('shows every waitpoint by its id, page by page, and what became of it (S-W6)', async () => {
      const opened = await openSigning(open)
      const { backend } = opened
      const claimed = await submitAndClaim(backend)
      const { handle, executionId } = claimed
      for (const name of ['c', 'a', 'b']) {
        await backend.createWaitpoint(handle, name, undefined, { waitpointId: idOf(name) })
      }
      const { outcome, token } = await suspendClaimed(opened, claimed)
      await send(opened, token)
      const all = (await backend.listWaitpoints(executionId)).items
      const ids = all.map(({ waitpointId }) => waitpointId)
      expect(ids).toEqual([...ids].sort())
      expect(all).toHaveLength(4)
      expect(all.find(({ key }) => key === 'approval')).toMatchObject({
        state: 'closed',
        closeReason: 'resumed',
        suspensionId: outcome.suspensionId,
        signalCount: 1,
      })
      const paged: string[] = []
      let cursor: string | undefined
      do {
        const page = await backend.listWaitpoints(executionId, { cursor, limit: 1 })
        paged.push(...page.items.map(({ waitpointId }) => waitpointId))
        cursor = page.nextCursor
      } while (cursor !== undefined)
      expect(paged).toEqual(ids)
      expect(await backend.listWaitpoints(executionId, { limit: 0 })).toMatchObject({ items: [] })
    })

    it('shows the signals that counted, when they are asked for', async () => {
      const opened = await openSigning(open)
      const { backend } = opened
      const { id, waitpoints } = await suspended(opened, {
        waitpoints: [{ key: 'a' }, { key: 'b' }],
        condition: {
          kind: 'all',
          of: [
            { kind: 'single', waitpoint: 'a', match: { names: ['yes'] } },
            { kind: 'single', waitpoint: 'b' },
          ],
        },
      })
      await send(opened, waitpoints[0]!.token, { name: 'no' })
      await send(opened, waitpoints[0]!.token, { name: 'yes', payload: bytes('me') })
      const { items } = await backend.listWaitpoints(id, { withSignals: true })
      const [a, b] = ['a', 'b'].map((key) => items.find((item) => item.key === key))
      expect(a).toMatchObject({ signalCount: 2, signals: [{ name: 'yes', position: 2 }] })
      expect(Buffer.from(a!.signals[0]!.payload!)).toEqual(Buffer.from('me'))
      expect(b).toMatchObject({ signalCount: 0, signals: [] })
    })

    it('finds nothing where there is no execution', async () => {
      const opened = await openSigning(open)
      const { backend } = opened
      const id = `0-${'0'.repeat(26)}`
      await refusal(backend.listWaitpoints(id), 'execution_not_found')
      await refusal(backend.listSignals(id, 0, 10), 'execution_not_found')
      await refusal(backend.waitpointToken(id, idOf('none')), 'execution_not_found')
      await refusal(backend.listWaitpoints('nonsense'), 'invalid_input')
      const there = await submit(backend)
      expect(await backend.listWaitpoints(there)).toEqual({
        items: [],
        corrupt: [],
        nextCursor: undefined,
      })
      await refusal(backend.waitpointToken(there, idOf('none')), 'waitpoint_not_found')
    })
  })

  describe('what is stored about waitpoints', () => {
    it('takes as many keys for sixty-four as for one (S-W3)', async () => {
      const keysWith = async (count: number) => {
        const opened = await openSigning(open, { partitions: 1 })
        const waitpoints = Array.from({ length: count }, (_, at) => ({ key: `key-${at}` }))
        const { token } = await suspended(opened, { waitpoints })
        await send(opened, token, { payload: bytes('x'), idempotencyKey: 'once' })
        return (await opened.dump()).size
      }
      expect(await keysWith(64)).toBe(await keysWith(1))
    })

    it('is gone with the execution, pending ones and signals too (S-W6, S-C20)', async () => {
      const opened = await openSigning(open, { partitions: 1 })
      const { backend, clock } = opened
      const life = async (purge: (id: string) => Promise<unknown>) => {
        const claimed = await submitAndClaim(backend, { retentionMs: 1000 })
        const { handle, executionId } = claimed
        const early = await backend.createWaitpoint(handle, 'early', 5000, { scope: 'run' })
        await backend.createWaitpoint(handle, 'never')
        await send(opened, early.token, { payload: bytes('x'), idempotencyKey: 'once' })
        const { token } = await suspendClaimed(opened, claimed, { timeoutMs: 5000 })
        await send(opened, token, { payload: bytes('x'), identity: 'me', correlationId: '7' })
        const again = await claimOne(backend)
        await suspendClaimed(opened, again, { waitpoints: approval, timeoutMs: 1 })
        await clock.advance(1)
        await sweepAll(backend)
        await purge(executionId)
        expect(await backend.describeExecution(executionId)).toBeUndefined()
        await refusal(backend.deliverSignal({ token }), 'execution_not_found')
        const left = JSON.stringify([...withoutFeed(await opened.dump())])
        expect(left).not.toContain(executionId.split('-')[1])
      }
      const trivial = await submit(backend, { lane: 'lane' })
      await backend.cancelExecution(trivial, 'over')
      await backend.purgeExecution(trivial)
      const before = withoutFeed(await opened.dump())
      await life((id) => backend.purgeExecution(id))
      expect(withoutFeed(await opened.dump())).toEqual(before)
      await life(async () => {
        await clock.advance(1000)
        await sweepAll(backend)
      })
      expect(withoutFeed(await opened.dump())).toEqual(before)
    })
  })
}
