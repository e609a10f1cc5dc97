// Partitions: how work spreads over them, and that it is found wherever it is.
import { describe, expect, it } from 'vitest'
import { digest, partitionOfDigest } from '../../src/ids.ts'
import type { Open } from '../support/backends.ts'
import {
  claimIds,
  claimOne,
  describeOne,
  forged,
  refusal,
  submit,
  submitAndClaim,
  sweepAll,
} from '../support/executions.ts'

const partitions = 16
const partitionOf = (id: string) => Number(id.split('-')[0])

/** For backends that can have more than one partition. */
export function describePartitions(open: Open): void {
  describe('partitions', () => {
    it('are as many as the namespace was opened with', async () => {
      const { backend } = await open({ partitions })
      expect(backend.partitions).toEqual(Array.from({ length: partitions }, (_, at) => at))
    })

    it('stay as many for ever: another count is refused', async () => {
      const { backend, peer } = await open({ partitions })
      await submit(backend)
      const error = await refusal(peer({ partitions: 8 }), 'partition_mismatch', {
        stored: '16',
        given: '8',
      })
      expect(error.message).toContain('16')
      await peer({ partitions })
    })

    it('share the work of one lane about evenly (W10)', async () => {
      const { backend } = await open({ partitions })
      const ids = await Promise.all(Array.from({ length: 320 }, () => submit(backend)))
      const counts = new Map<number, number>()
      for (const id of ids) counts.set(partitionOf(id), (counts.get(partitionOf(id)) ?? 0) + 1)
      expect(counts.size).toBe(partitions)
      // 20 each on average; more than 60 in one would be no accident.
      expect(Math.max(...counts.values())).toBeLessThan(60)
    })

    it('are decided by the idempotency key when there is one (W20)', async () => {
      const { backend } = await open({ partitions })
      for (const idempotencyKey of ['a', 'b', 'c', 'd', 'e']) {
        const id = await submit(backend, { idempotencyKey })
        expect(partitionOf(id)).toBe(partitionOfDigest(digest('key', idempotencyKey), partitions))
      }
    })

    it('give up all their work to one claimer', async () => {
      const { backend } = await open({ partitions })
      const ids = await Promise.all(Array.from({ length: 100 }, () => submit(backend)))
      expect([...(await claimIds(backend))].sort()).toEqual([...ids].sort())
    })

    it('are each asked first by some claim, so that none is always last (W27)', async () => {
      const { backend, store } = await open({ partitions })
      const from = store.calls.length
      for (let round = 0; round < partitions; round++) await claimIds(backend)
      const asked = store.calls.slice(from).map(({ partition }) => partition)
      const first = asked.filter((_, at) => at % partitions === 0)
      expect(new Set(first).size).toBe(partitions)
    })

    it('are no bounds for what can be done with one execution', async () => {
      const { backend, clock } = await open({ partitions })
      for (let round = 0; round < partitions; round++) {
        const retry = { attempts: 2, delayMs: 1 }
        const first = await submitAndClaim(backend, { retry, idempotencyKey: `key-${round}` })
        const id = first.executionId
        await backend.progress(first.handle, 1, 'note')
        await backend.fail(first.handle, { message: 'oops' }, 'transient')
        await backend.blockExecution(id, 'reason')
        await clock.advance(1)
        await backend.unblockExecution(id, 'reason')
        await backend.changePriority(id, 1)
        const second = await claimOne(backend)
        await backend.renew(second.handle)
        await backend.delay(second.handle, 0)
        const grant = await backend.issueClaimGrant(id, { worker: 'worker' })
        const third = await backend.claimResumedExecution({ grant })
        await backend.revokeLease(id)
        const reclaim = await backend.issueReclaimGrant(id, { worker: 'worker' })
        const fourth = await backend.claimFromReclaim({ grant: reclaim })
        await backend.complete((fourth ?? third).handle)
        await backend.replayExecution(id)
        await backend.cancelExecution(id, 'over')
        expect(await backend.watch(id)).toMatchObject({ outcome: 'cancelled' })
        expect(await describeOne(backend, id)).toMatchObject({ totalAttempts: 3 })
        await backend.purgeExecution(id)
      }
    })

    it('are swept one by one', async () => {
      const { backend, clock } = await open({ partitions })
      await Promise.all(Array.from({ length: 60 }, () => submit(backend, { delayMs: 10 })))
      await clock.advance(10)
      const promoted = await Promise.all(
        backend.partitions.map(async (partition) => (await backend.sweep(partition)).promoted),
      )
      expect(promoted.reduce((sum, count) => sum + count, 0)).toBe(60)
      await sweepAll(backend)
    })

    it('are all paused, listed and resumed together', async () => {
      const { backend } = await open({ partitions })
      const ids = await Promise.all(Array.from({ length: 40 }, () => submit(backend)))
      await backend.pauseLane('lane')
      expect(await claimIds(backend)).toEqual([])
      await backend.resumeLane('lane')
      expect(await claimIds(backend)).toHaveLength(ids.length)
    })

    it('that do not exist hold no executions', async () => {
      const { backend } = await open({ partitions })
      const { executionId, handle } = await submitAndClaim(backend)
      const elsewhere = executionId.replace(/^\d+/, '16')
      expect(await backend.describeExecution(elsewhere)).toBeUndefined()
      await refusal(backend.cancelExecution(elsewhere, 'over'), 'execution_not_found')
      const moved = forged(handle, 'executionId', elsewhere)
      await refusal(backend.renew(moved), 'execution_not_found')
    })
  })
}
