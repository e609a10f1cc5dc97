// Which work goes to whom first: capabilities and priorities.
import { describe, expect, it } from 'vitest'
import type { Open } from '../support/backends.ts'
import {
  claimIds,
  claimOne,
  describeOne,
  submit,
  submitAndClaim,
  withoutTrace,
} from '../support/executions.ts'

export function describeMatching(open: Open): void {
  describe('capabilities', () => {
    it.each<[string, string[], string[], boolean]>([
      ['none are needed', [], [], true],
      ['none are needed and some offered', [], ['a'], true],
      ['all are offered', ['a', 'b'], ['c', 'b', 'a'], true],
      ['they are offered twice', ['a'], ['a', 'a'], true],
      ['one is missing', ['a', 'b'], ['a', 'c'], false],
      ['none is offered', ['a'], [], false],
      ['they differ in case', ['GPU'], ['gpu'], false],
      ['one is part of another', ['gpu'], ['gpu2', 'xgpu'], false],
      ['they look like patterns', ['a.c'], ['abc'], false],
      ['they are not ASCII', ['größe', '量子'], ['量子', 'größe'], true],
      [
        'they have signs',
        ['a=1', 'b:2', 'c/3', '%d+', '{x}'],
        ['%d+', 'c/3', 'b:2', 'a=1', '{x}'],
        true,
      ],
    ])('when %s', async (_what, required, offered, fits) => {
      const { backend } = await open()
      const id = await submit(backend, { capabilities: required })
      expect(await claimIds(backend, { capabilities: offered })).toEqual(fits ? [id] : [])
    })

    it('leave work alone that does not fit, also when it is lost or was parked', async () => {
      const { backend } = await open()
      const able = { capabilities: ['a'] }
      const lost = await submitAndClaim(backend, able, able)
      await backend.revokeLease(lost.executionId)
      const parked = await submitAndClaim(backend, able, { ...able, kinds: ['fresh'] })
      await backend.delay(parked.handle, 0)
      expect(await claimIds(backend)).toEqual([])
      expect([...(await claimIds(backend, able))].sort()).toEqual(
        [lost.executionId, parked.executionId].sort(),
      )
    })

    it('do not let work at the head that fits nobody hold up the rest (W27, W40)', async () => {
      const { backend, clock } = await open({ partitions: 1 })
      for (let round = 0; round < 20; round++) {
        await submit(backend, { capabilities: ['rare', `kind-${round % 3}`], priority: 9 })
      }
      await clock.advance(1)
      const id = await submit(backend)
      expect(await claimIds(backend, { count: 1 })).toEqual([id])
    })

    it('change nothing when they do not fit (W40)', async () => {
      const opened = await open()
      const { backend } = opened
      const id = await submit(backend, { capabilities: ['a'] })
      expect(await withoutTrace(opened, () => claimIds(backend))).toEqual([])
      expect(await claimIds(backend, { capabilities: ['a'] })).toEqual([id])
    })

    it('are up to 256 on both sides', async () => {
      const { backend } = await open()
      const many = Array.from({ length: 256 }, (_, at) => `capability-${at}`)
      const id = await submit(backend, { capabilities: many })
      expect(await claimIds(backend, { capabilities: many.slice(1) })).toEqual([])
      expect(await claimIds(backend, { capabilities: many.reverse() })).toEqual([id])
    })

    it('do not disturb the order of the work', async () => {
      const { backend, clock } = await open({ partitions: 1 })
      const ids = []
      for (const capabilities of [['a'], [], ['b'], ['a', 'b'], []]) {
        ids.push(await submit(backend, { capabilities }))
        await clock.advance(1)
      }
      expect(await claimIds(backend, { capabilities: ['a', 'b'] })).toEqual(ids)
    })
  })

  describe('priorities', () => {
    it('outweigh any age', async () => {
      const { backend, clock } = await open({ partitions: 1 })
      const old = await submit(backend)
      await clock.advance(30 * 365 * 86_400_000)
      const urgent = await submit(backend, { priority: 1 })
      expect(await claimIds(backend, { count: 1 })).toEqual([urgent])
      expect(await claimIds(backend)).toEqual([old])
    })

    it('go from 0 to 9000, highest first, and then by age', async () => {
      const { backend, clock } = await open({ partitions: 1 })
      const submitted: string[] = []
      for (const priority of [0, 9000, 1, 8999, undefined, 9000, 1]) {
        submitted.push(await submit(backend, { priority }))
        await clock.advance(1)
      }
      const order = [1, 5, 3, 2, 6, 0, 4].map((at) => submitted[at])
      expect(await claimIds(backend)).toEqual(order)
    })

    it('can be changed while work waits', async () => {
      const { backend, clock } = await open({ partitions: 1 })
      const first = await submit(backend, { priority: 5 })
      await clock.advance(1)
      const second = await submit(backend, { priority: 5 })
      expect(await backend.changePriority(second, 6)).toEqual({ from: 5, to: 6 })
      expect((await describeOne(backend, second)).priority).toBe(6)
      expect(await backend.changePriority(first, 0)).toEqual({ from: 5, to: 0 })
      expect((await describeOne(backend, first)).priority).toBe(0)
      expect(await claimIds(backend)).toEqual([second, first])
    })

    it('are changed once, however often the same is asked for', async () => {
      const opened = await open()
      const { backend } = opened
      const id = await submit(backend, { priority: 3 })
      await backend.changePriority(id, 4)
      const again = () => backend.changePriority(id, 4)
      expect(await withoutTrace(opened, again)).toEqual({ from: 4, to: 4 })
    })

    it.each([
      ['delayed', 'its time has come'],
      ['blocked', 'it is let go'],
    ])('of %s work count as soon as %s (W48)', async (how) => {
      const { backend, clock } = await open({ partitions: 1 })
      const older = await submit(backend, { priority: 5 })
      const id = await submit(backend, how === 'delayed' ? { delayMs: 10 } : {})
      if (how === 'blocked') await backend.blockExecution(id, 'reason')
      await backend.changePriority(id, 6)
      await clock.advance(10)
      if (how === 'blocked') await backend.unblockExecution(id, 'reason')
      expect(await claimIds(backend)).toEqual([id, older])
    })

    it('of reserved work count once its grant has lapsed', async () => {
      const { backend, clock } = await open({ partitions: 1 })
      const older = await submit(backend, { priority: 5 })
      const id = await submit(backend)
      await backend.issueClaimGrant(id, { worker: 'other', grantMs: 10 })
      await backend.changePriority(id, 6)
      expect(await claimIds(backend, { count: 1 })).toEqual([older])
      await clock.advance(10)
      const oldest = await submit(backend, { priority: 5 })
      expect(await claimIds(backend)).toEqual([id, oldest])
    })

    it('and ages stay with work over retries, parking and reclaims', async () => {
      const { backend, clock } = await open({ partitions: 1 })
      const retry = { attempts: 2, delayMs: 1 }
      const first = await submit(backend, { priority: 2, retry })
      const second = await submit(backend, { priority: 2, retry })
      const rival = await submit(backend, { priority: 1 })
      const failed = await claimOne(backend)
      await backend.fail(failed.handle, { message: 'oops' }, 'transient')
      const parked = await claimOne(backend)
      await backend.delay(parked.handle, 0)
      await clock.advance(1)
      expect(await claimIds(backend)).toEqual([first, second, rival])
    })

    it('decide between fresh, resumed and reclaimable work alike', async () => {
      const { backend } = await open({ partitions: 1 })
      const parked = await submitAndClaim(backend, { priority: 1 })
      await backend.delay(parked.handle, 0)
      const lost = await submitAndClaim(backend, { priority: 3 })
      await backend.revokeLease(lost.executionId)
      const fresh = await submit(backend, { priority: 2 })
      expect(await claimIds(backend)).toEqual([lost.executionId, fresh, parked.executionId])
    })
  })
}
