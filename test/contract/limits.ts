// Limits: how much work of a name may run at once, or begin within a time.
import { describe, expect, it } from 'vitest'
import type { Open } from '../support/backends.ts'
import {
  claimIds,
  claimOne,
  describeOne,
  refusal,
  refusedWithoutTrace,
  stateOf,
  submit,
  submitAndClaim,
  sweepAll,
  withoutTrace,
} from '../support/executions.ts'
import { limitedBy } from '../support/limits.ts'

export function describeLimits(open: Open): void {
  const limited = limitedBy(open)

  describe('a limit of concurrency', () => {
    it('withholds what has no slot, and admits it when one is given back', async () => {
      const { backend, add, stands } = await limited()
      const first = await add()
      const second = await add()
      const { handle } = await claimOne(backend)
      expect(await claimIds(backend)).toEqual([])
      expect(await stateOf(backend, second)).toBe('runnable.blocked')
      expect(await describeOne(backend, second)).toMatchObject({
        withheldBy: 'limit',
        limit: { name: 'api', state: 'waiting' },
      })
      expect(await stands()).toEqual({ active: 1, waiting: 1, started: 0 })
      await backend.complete(handle)
      expect(await stateOf(backend, first)).toBe('terminal.completed')
      expect(await describeOne(backend, second)).toMatchObject({
        state: 'runnable.ready',
        withheldBy: undefined,
        limit: { state: 'admitted' },
      })
      const last = await claimOne(backend)
      expect(last.executionId).toBe(second)
      expect(await describeOne(backend, second)).toMatchObject({ limit: { state: 'holding' } })
      await backend.complete(last.handle)
      expect(await stands()).toEqual({ active: 0, waiting: 0, started: 0 })
    })

    it('lets one claim take other work past what has no slot', async () => {
      const { backend, add, stands } = await limited({ concurrency: 2 })
      for (let round = 0; round < 200; round++) await add({ priority: 1 })
      const free = await submit(backend)
      const taken = await claimIds(backend, { count: 3 })
      expect(taken).toHaveLength(2)
      expect(await stands()).toMatchObject({ active: 2 })
      // Bounded looks: the claims after it come to what is behind.
      const later = [await claimIds(backend), await claimIds(backend), await claimIds(backend)]
      expect(later.flat()).toEqual([free])
      expect(await stands()).toEqual({ active: 2, waiting: 198, started: 0 })
    })

    it('admits by priority, then by age', async () => {
      const { backend, add, clock } = await limited()
      const [held, old, young, urgent] = [await add(), await add(), await add(), await add()]
      const { executionId, handle } = await claimOne(backend)
      expect(executionId).toBe(held)
      expect(await claimIds(backend)).toEqual([])
      await backend.changePriority(urgent, 5)
      await clock.advance(1)
      const order = []
      for (let holder = handle; order.length < 3; ) {
        await backend.complete(holder)
        const next = await claimOne(backend)
        order.push(next.executionId)
        holder = next.handle
      }
      expect(order).toEqual([urgent, old, young])
    })

    it('keeps the slot of a lost lease until somebody reclaims it', async () => {
      const { backend, add, clock, stands } = await limited()
      const id = await add()
      const waiting = await add()
      await claimOne(backend, { leaseMs: 1000 })
      expect(await claimIds(backend)).toEqual([])
      await clock.advance(1000)
      await sweepAll(backend)
      expect(await stateOf(backend, id)).toBe('leased.expired')
      expect(await stands()).toMatchObject({ active: 1, waiting: 1 })
      const { executionId, handle } = await claimOne(backend)
      expect(executionId).toBe(id)
      expect(await stands()).toMatchObject({ active: 1, waiting: 1 })
      await backend.complete(handle)
      expect(await claimIds(backend)).toEqual([waiting])
    })

    it.each(['fail', 'delay', 'suspend', 'cancelExecution', 'deadline', 'timeout'])(
      'gives the slot back by %s, and takes a new one to go on',
      async (way) => {
        const { backend, add, clock, stands } = await limited()
        await add({ retry: { attempts: 2, delayMs: 10 }, attemptTimeoutMs: 5000, deadlineMs: 9000 })
        const { executionId: id, handle } = await claimOne(backend, { leaseMs: 60_000 })
        const other = await add()
        expect(await claimIds(backend)).toEqual([])
        if (way === 'fail') await backend.fail(handle, { message: 'oops' }, 'transient')
        if (way === 'delay') await backend.delay(handle, clock.nowMs() + 10)
        if (way === 'suspend') await backend.suspend(handle, [{ key: 'go' }])
        if (way === 'cancelExecution') await backend.cancelExecution(id, 'no need')
        if (way === 'deadline') await clock.advance(9000)
        if (way === 'timeout') await clock.advance(5000)
        await sweepAll(backend)
        const next = await claimOne(backend)
        expect(next.executionId).toBe(other)
        expect(await stands()).toMatchObject({ active: 1 })
        if (way === 'suspend') await backend.resumeExecution(id)
        await clock.advance(10)
        const isOver = way === 'cancelExecution' || way === 'deadline' || way === 'timeout'
        expect(await claimIds(backend)).toEqual([])
        expect(await stands()).toMatchObject({ active: 1, waiting: isOver ? 0 : 1 })
        await backend.complete(next.handle)
        expect(await claimIds(backend)).toEqual(isOver ? [] : [id])
      },
    )

    it('wakes who waits for work when a slot is given back', async () => {
      const { backend, store, add } = await limited()
      await add()
      const second = await add()
      const { handle } = await claimOne(backend)
      const waiting = claimIds(backend, { count: 1, maxWaitMs: 20_000 })
      await store.asleep()
      await backend.complete(handle)
      expect(await waiting).toEqual([second])
    })

    it('takes a new slot for a replay', async () => {
      const { backend, add } = await limited()
      const id = await add()
      await backend.complete((await claimOne(backend)).handle)
      const other = await add()
      await claimOne(backend)
      await backend.replayExecution(id)
      expect(await claimIds(backend)).toEqual([])
      await backend.cancelExecution(other, 'no need')
      expect(await claimIds(backend)).toEqual([id])
    })

    it('gives back a slot that admitted work does not use', async () => {
      const { backend, add, clock, stands } = await limited()
      await add()
      const { handle } = await claimOne(backend)
      const unwanted = await add({ lane: 'nobody' })
      await claimIds(backend, { lane: 'nobody' })
      const wanted = await add()
      expect(await claimIds(backend)).toEqual([])
      await backend.complete(handle)
      expect(await describeOne(backend, unwanted)).toMatchObject({ limit: { state: 'admitted' } })
      await clock.advance(29_999)
      expect(await claimIds(backend)).toEqual([])
      await clock.advance(1)
      expect(await claimIds(backend)).toEqual([wanted])
      expect(await describeOne(backend, unwanted)).toMatchObject({
        state: 'runnable.ready',
        limit: { state: 'none' },
      })
      expect(await stands()).toMatchObject({ active: 1, waiting: 0 })
    })

    it('gives the slot of admitted work on when it is blocked or cancelled', async () => {
      const { backend, add } = await limited()
      const ids = [await add(), await add(), await add(), await add()] as const
      const { handle } = await claimOne(backend)
      expect(await claimIds(backend)).toEqual([])
      await backend.complete(handle)
      await backend.blockExecution(ids[1], 'reason')
      expect(await stateOf(backend, ids[2])).toBe('runnable.ready')
      await backend.cancelExecution(ids[2], 'no need')
      expect(await claimIds(backend)).toEqual([ids[3]])
    })

    it('lets an operator block and unblock what it withholds', async () => {
      const { backend, add } = await limited()
      await add()
      const id = await add()
      const { handle } = await claimOne(backend)
      expect(await claimIds(backend)).toEqual([])
      await backend.blockExecution(id, 'reason')
      await refusal(backend.blockExecution(id, 'other'), 'execution_not_eligible')
      await backend.complete(handle)
      expect(await describeOne(backend, id)).toMatchObject({
        state: 'runnable.blocked',
        blockedBy: 'reason',
        withheldBy: undefined,
      })
      await backend.unblockExecution(id, 'reason')
      expect(await claimIds(backend)).toEqual([id])
    })

    it('answers a repeated claim and a repeated settle with nothing new', async () => {
      const opened = await limited()
      const { backend, add, stands } = opened
      await add()
      await add()
      const first = await claimOne(backend, { leaseId: 'mine' })
      await withoutTrace(opened, () => claimOne(backend, { leaseId: 'mine' }))
      await backend.complete(first.handle)
      await claimOne(backend)
      // The first holder's slot is gone: nobody else's may go with a repetition.
      await withoutTrace(opened, () => backend.complete(first.handle))
      expect(await stands()).toMatchObject({ active: 1, waiting: 0 })
    })

    it('refuses a granted claim for which it has no slot', async () => {
      const opened = await limited()
      const { backend, add, clock } = opened
      const parked = await submitAndClaim(backend, { limit: 'api' })
      await backend.delay(parked.handle, clock.nowMs())
      const grant = await backend.issueClaimGrant(parked.executionId, { worker: 'worker' })
      await add()
      const { handle } = await claimOne(backend)
      const claim = () => backend.claimResumedExecution({ grant })
      await refusedWithoutTrace(opened, claim, 'limit_reached', { limit: 'api' })
      await backend.complete(handle)
      expect((await claim()).executionId).toBe(parked.executionId)
    })
  })

  describe('a limit for each key', () => {
    it('counts each key for itself', async () => {
      const { backend, add, stands } = await limited({ concurrency: 1, perKey: true })
      for (const fairnessKey of ['a', 'a', 'b', 'ü', undefined]) await add({ fairnessKey })
      expect(await claimIds(backend)).toHaveLength(4)
      expect(await stands('a')).toEqual({ active: 1, waiting: 1, started: 0 })
      expect(await stands('b')).toEqual({ active: 1, waiting: 0, started: 0 })
      expect(await stands()).toEqual({ active: 1, waiting: 0, started: 0 })
    })

    it('lets keys that share a bucket take turns', async () => {
      const { backend, add } = await limited()
      await add()
      let { handle } = await claimOne(backend)
      const names = new Map<string, string>()
      for (const fairnessKey of ['a', 'a', 'a', 'b', 'a', 'c']) {
        names.set(await add({ fairnessKey }), fairnessKey)
      }
      expect(await claimIds(backend)).toEqual([])
      const order = []
      for (let round = 0; round < 6; round++) {
        await backend.complete(handle)
        const next = await claimOne(backend)
        order.push(names.get(next.executionId))
        handle = next.handle
      }
      expect(order.join('')).toBe('abcaaa')
    })
  })
}
