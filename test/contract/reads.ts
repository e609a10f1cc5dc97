// Reading: single executions, pages of them, and being told when they end.
import { describe, expect, it } from 'vitest'
import type { ExecutionId } from '../../src/ids.ts'
import { formatExecutionId } from '../../src/ids.ts'
import type { Open, OpenedBackend } from '../support/backends.ts'
import {
  bytes,
  claimOne,
  describeOne,
  refusal,
  submit,
  submitAndClaim,
  sweepAll,
  withoutTrace,
} from '../support/executions.ts'
import { bring, reachableLeaves } from '../support/leaves.ts'

const nobody = formatExecutionId(0, '0'.repeat(26))

/** All pages of all partitions, page by page. */
async function listAll({ backend }: OpenedBackend, limit: number): Promise<ExecutionId[]> {
  const found: ExecutionId[] = []
  for (const partition of backend.partitions) {
    let cursor: ExecutionId | undefined
    do {
      const page = await backend.listExecutions(partition, cursor, limit)
      expect(page.items.length).toBeLessThanOrEqual(limit)
      found.push(...page.items)
      cursor = page.nextCursor
    } while (cursor !== undefined)
  }
  return found
}

export function describeReads(open: Open): void {
  describe('describeExecution', () => {
    it('knows nothing of an execution that was never there', async () => {
      const { backend } = await open()
      expect(await backend.describeExecution(nobody)).toBeUndefined()
    })

    it.each(reachableLeaves)('reads work that is %s, and changes nothing', async (leaf) => {
      const opened = await open()
      const { id } = await bring(opened, leaf)
      const snapshot = await withoutTrace(opened, () => describeOne(opened.backend, id))
      expect(snapshot).toMatchObject({ executionId: id, lane: leaf, state: leaf })
      expect(snapshot.currentLease === undefined).toBe(leaf !== 'leased.held')
      expect(snapshot.endedAtMs === undefined).toBe(!leaf.startsWith('terminal.'))
    })

    it.each([
      ['runnable.ready', 'waiting'],
      ['runnable.resumed', 'waiting'],
      ['runnable.blocked', 'blocked'],
      ['leased.held', 'active'],
      ['leased.expired', 'active'],
      ['leased.revoked', 'active'],
      ['suspended', 'suspended'],
      ['delayed.start', 'delayed'],
      ['delayed.retry', 'delayed'],
      ['delayed.parked', 'delayed'],
      ['terminal.completed', 'completed'],
      ['terminal.failed', 'failed'],
      ['terminal.cancelled', 'cancelled'],
      ['terminal.expired', 'expired'],
    ] as const)('shows %s to people as %s (W21)', async (leaf, shown) => {
      const opened = await open()
      const { id } = await bring(opened, leaf)
      expect((await describeOne(opened.backend, id)).publicState).toBe(shown)
    })

    it('tells when the execution last changed', async () => {
      const { backend, clock } = await open()
      const { executionId, handle } = await submitAndClaim(backend)
      await clock.advance(10)
      await backend.progress(handle, 1)
      expect(await describeOne(backend, executionId)).toMatchObject({
        createdAtMs: clock.nowMs() - 10,
        updatedAtMs: clock.nowMs(),
      })
    })
  })

  describe('progress', () => {
    it('overwrites what is given and keeps what is not (W33)', async () => {
      const { backend } = await open()
      const { executionId, handle } = await submitAndClaim(backend)
      const seen = async () => (await describeOne(backend, executionId)).progress
      await backend.progress(handle)
      expect(await seen()).toEqual({ percent: undefined, message: undefined })
      await backend.progress(handle, 0)
      expect(await seen()).toEqual({ percent: 0, message: undefined })
      await backend.progress(handle, undefined, 'message')
      expect(await seen()).toEqual({ percent: 0, message: 'message' })
      await backend.progress(handle, 100)
      expect(await seen()).toEqual({ percent: 100, message: 'message' })
      await backend.progress(handle, undefined, '')
      expect(await seen()).toEqual({ percent: 100, message: '' })
    })

    it('stays as it was when the execution ended', async () => {
      const { backend } = await open()
      const { executionId, handle } = await submitAndClaim(backend)
      await backend.progress(handle, 99, 'almost')
      await backend.complete(handle)
      const { progress } = await describeOne(backend, executionId)
      expect(progress).toEqual({ percent: 99, message: 'almost' })
    })
  })

  describe('listExecutions', () => {
    it('gives every execution once, in byte order, whatever the page size (W43)', async () => {
      const opened = await open()
      const ids = await Promise.all(Array.from({ length: 23 }, () => submit(opened.backend)))
      for (const limit of [1, 2, 5, 23, 24, 1000]) {
        const found = await listAll(opened, limit)
        expect([...found].sort()).toEqual([...ids].sort())
        const ofFirst = found.filter((id) => id.startsWith('0-'))
        expect([...ofFirst].sort()).toEqual(ofFirst)
      }
    })

    it('gives a cursor only when there is more', async () => {
      const { backend } = await open({ partitions: 1 })
      const ids = [await submit(backend), await submit(backend), await submit(backend)]
      const [first, second, third] = ids.sort()
      expect(await backend.listExecutions(0, undefined, 2)).toEqual({
        items: [first, second],
        nextCursor: second,
      })
      expect(await backend.listExecutions(0, second, 2)).toEqual({
        items: [third],
        nextCursor: undefined,
      })
      expect(await backend.listExecutions(0, third, 2)).toEqual({
        items: [],
        nextCursor: undefined,
      })
    })

    it('goes on after a cursor that is gone, and finds what came later', async () => {
      const { backend } = await open({ partitions: 1 })
      const ids = [await submit(backend), await submit(backend)].sort()
      const cursor = (await backend.listExecutions(0, undefined, 1)).nextCursor
      await backend.cancelExecution(ids[0] ?? '', 'over')
      await backend.purgeExecution(ids[0] ?? '')
      const later = await submit(backend)
      const rest = await backend.listExecutions(0, cursor, 10)
      expect(rest.items).toEqual([ids[1], later])
    })

    it('gives nothing and no cursor for a limit of nothing', async () => {
      const { backend } = await open()
      await submit(backend)
      for (const partition of backend.partitions) {
        expect(await backend.listExecutions(partition, undefined, 0)).toEqual({
          items: [],
          nextCursor: undefined,
        })
      }
    })

    it('gives at most a thousand', async () => {
      const { backend } = await open({ partitions: 1 })
      await Promise.all(Array.from({ length: 1001 }, () => submit(backend)))
      const first = await backend.listExecutions(0, undefined, 5000)
      expect(first.items).toHaveLength(1000)
      const rest = await backend.listExecutions(0, first.nextCursor, 5000)
      expect(rest).toMatchObject({ items: [expect.any(String)], nextCursor: undefined })
    })
  })

  describe('watch', () => {
    it('tells how an execution ended', async () => {
      const opened = await open()
      const { backend } = opened
      const ending = async (leaf: (typeof reachableLeaves)[number]) =>
        backend.watch((await bring(opened, leaf)).id)
      expect(await ending('terminal.completed')).toEqual({
        outcome: 'completed',
        result: bytes('result'),
      })
      expect(await ending('terminal.failed')).toEqual({
        outcome: 'failed',
        reason: 'failed',
        failureClass: 'permanent',
        failure: { message: 'oops' },
      })
      expect(await ending('terminal.cancelled')).toEqual({
        outcome: 'cancelled',
        reason: 'cancelled_by_worker',
        message: 'no need',
      })
      expect(await ending('terminal.expired')).toEqual({
        outcome: 'expired',
        reason: 'attempt_timeout',
      })
    })

    it.each(reachableLeaves.filter((leaf) => !leaf.startsWith('terminal.')))(
      'tells that work that is %s has not ended',
      async (leaf) => {
        const opened = await open()
        const { id } = await bring(opened, leaf)
        expect(await opened.backend.watch(id)).toEqual({ outcome: 'pending', state: leaf })
        expect(await opened.backend.watch(id)).toEqual({ outcome: 'pending', state: leaf })
      },
    )

    it('does not find what is not there', async () => {
      const { backend } = await open()
      await refusal(backend.watch(nobody), 'execution_not_found')
    })
  })

  describe('onEnded', () => {
    it('tells the end of watched executions, however they end (W18)', async () => {
      const opened = await open()
      const { backend, clock } = opened
      const ends = await heard(opened)
      const completed = await submitAndClaim(backend)
      const cancelled = await submit(backend, { lane: 'other' })
      const late = await submit(backend, { lane: 'other', deadlineMs: 10 })
      const lost = await submitAndClaim(backend, { reclaimsMax: 0 }, { leaseMs: 100 })
      for (const id of [completed.executionId, cancelled, late, lost.executionId]) {
        await backend.watch(id)
      }
      await backend.complete(completed.handle)
      await ends.of(completed.executionId)
      await backend.cancelExecution(cancelled, 'over')
      await ends.of(cancelled)
      await clock.advance(10)
      await sweepAll(backend)
      await ends.of(late)
      await clock.advance(100)
      await sweepAll(backend)
      await ends.of(lost.executionId)
    })

    it('tells what another process ends', async () => {
      const opened = await open()
      const other = await opened.peer()
      const ends = await heard(opened)
      const id = await submit(opened.backend)
      await opened.backend.watch(id)
      await other.backend.complete((await claimOne(other.backend)).handle)
      await ends.of(id)
    })

    it('tells the second end of a replayed execution that is watched again', async () => {
      const opened = await open()
      const { backend } = opened
      const ends = await heard(opened)
      const { executionId, handle } = await submitAndClaim(backend)
      await backend.watch(executionId)
      await backend.complete(handle)
      await ends.of(executionId)
      await backend.replayExecution(executionId)
      await backend.watch(executionId)
      await backend.complete((await claimOne(backend)).handle)
      await ends.of(executionId)
    })

    it('tells nothing of what nobody watches, and nothing to those who left', async () => {
      const opened = await open()
      const { backend } = opened
      const left = await heard(opened)
      left.leave()
      const ends = await heard(opened)
      const unwatched = await submitAndClaim(backend)
      await backend.complete(unwatched.handle)
      const watched = await submitAndClaim(backend)
      await backend.watch(watched.executionId)
      await backend.complete(watched.handle)
      await ends.of(watched.executionId)
      expect(ends.all).toEqual([watched.executionId])
      expect(left.all).toEqual([])
    })
  })
}

/** Listens to endings; `of` resolves with the next one of that execution. */
async function heard({ backend }: OpenedBackend) {
  const all: ExecutionId[] = []
  const pending: ExecutionId[] = []
  let check = () => {}
  const leave = await backend.onEnded((id) => {
    if (id === undefined) return
    all.push(id)
    pending.push(id)
    check()
  })
  const of = (wanted: ExecutionId) =>
    new Promise<void>((resolve) => {
      check = () => {
        const at = pending.indexOf(wanted)
        if (at < 0) return
        pending.splice(at, 1)
        resolve()
      }
      check()
    })
  return { all, of, leave }
}
