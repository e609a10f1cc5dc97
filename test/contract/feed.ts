// The feed: what happened to which execution, in order, by whom and in which lease.
import { describe, expect, it } from 'vitest'
import type { EngineBackend } from '../../src/persistence/backend.ts'
import type { Open, OpenedBackend } from '../support/backends.ts'
import {
  bytes,
  claimAll,
  claimOne,
  refusal,
  refusedWithoutTrace,
  submit,
  submitAndClaim,
  sweepAll,
  withoutTrace,
  work,
} from '../support/executions.ts'
import { beginning, eventsAfter, pagesAfter, told } from '../support/feed.ts'

const here = { partitions: 1 }
const parked = 100
const failure = { message: 'oops' }

/** What each way through the lifecycle is told as. */
const ways: Readonly<Record<string, (opened: OpenedBackend) => Promise<string[]>>> = {
  'work that is delayed, parked, resumed and completed': async ({ backend, clock }) => {
    await submit(backend, { delayMs: 10 })
    await clock.advance(10)
    await sweepAll(backend)
    const first = await claimOne(backend, { worker: 'wörker' })
    await backend.delay(first.handle, clock.nowMs() + parked)
    await clock.advance(parked)
    const second = await claimOne(backend, { worker: 'other' })
    await backend.complete(second.handle, bytes('result'))
    return [
      'submit delayed.start - submitter',
      'promote runnable.ready - clock',
      'claim leased.held 0 worker wörker',
      'delay delayed.parked 0 worker wörker',
      'promote runnable.resumed 0 clock',
      'claim leased.held 0 worker other',
      'complete terminal.completed 0 worker other',
    ]
  },
  'work that is retried and fails': async ({ backend, clock }) => {
    const { handle } = await submitAndClaim(backend, { retry: { attempts: 2, delayMs: 10 } })
    await backend.fail(handle, failure, 'transient')
    await clock.advance(10)
    await backend.fail((await claimOne(backend)).handle, failure, 'permanent')
    return [
      'submit runnable.ready - submitter',
      'claim leased.held 0 worker worker',
      'fail delayed.retry 0 worker worker transient',
      'promote runnable.ready 0 clock',
      'claim leased.held 1 worker worker retry',
      'fail terminal.failed 1 worker worker permanent',
    ]
  },
  'work whose lease is lost and revoked, and which its worker cancels': async (opened) => {
    const { backend, clock } = opened
    const { executionId } = await submitAndClaim(backend, {}, { leaseMs: 1000 })
    await clock.advance(1000)
    await claimOne(backend)
    await backend.revokeLease(executionId)
    await backend.cancel((await claimOne(backend)).handle, 'no need of it')
    return [
      'submit runnable.ready - submitter',
      'claim leased.held 0 worker worker',
      'loseLease leased.expired 0 clock',
      'claim leased.held 1 worker worker reclaim',
      'revokeLease leased.revoked 1 operator',
      'claim leased.held 2 worker worker reclaim',
      'cancel terminal.cancelled 2 worker worker cancelled_by_worker',
    ]
  },
  'work whose leases are lost too often': async ({ backend }) => {
    const { executionId } = await submitAndClaim(backend, { reclaimsMax: 0 })
    await backend.revokeLease(executionId)
    return [
      'submit runnable.ready - submitter',
      'claim leased.held 0 worker worker',
      'revokeLease terminal.failed 0 operator max_reclaims_exceeded',
    ]
  },
  'work that takes too long, is replayed and expires': async ({ backend, clock }) => {
    const submission = { attemptTimeoutMs: 10, deadlineMs: 1000 }
    const { executionId } = await submitAndClaim(backend, submission)
    await clock.advance(10)
    await sweepAll(backend)
    await backend.replayExecution(executionId)
    await claimOne(backend)
    await clock.advance(990)
    await sweepAll(backend)
    return [
      'submit runnable.ready - submitter',
      'claim leased.held 0 worker worker',
      'timeOut terminal.expired 0 clock attempt_timeout',
      'replay runnable.ready 0 operator',
      'claim leased.held 1 worker worker replay',
      'expire terminal.expired 1 clock deadline',
    ]
  },
  'work that operators hold, reorder, cancel and forget': async ({ backend }) => {
    const id = await submit(backend)
    await backend.blockExecution(id, 'audit')
    await backend.unblockExecution(id, 'audit')
    await backend.changePriority(id, 7)
    await backend.cancelExecution(id, 'not now')
    await backend.purgeExecution(id)
    return [
      'submit runnable.ready - submitter',
      'block runnable.blocked - operator audit',
      'unblock runnable.ready - operator',
      'reprioritize runnable.ready - operator 7',
      'cancelExecution terminal.cancelled - operator cancelled_by_operator',
      'purge absent - operator',
    ]
  },
  'work whose retention is over': async ({ backend, clock }) => {
    const { handle } = await submitAndClaim(backend, { retentionMs: 10 })
    await backend.complete(handle)
    await clock.advance(10)
    await sweepAll(backend)
    return [
      'submit runnable.ready - submitter',
      'claim leased.held 0 worker worker',
      'complete terminal.completed 0 worker worker',
      'purge absent 0 clock',
    ]
  },
}

export function describeFeed(open: Open): void {
  describe('the feed', () => {
    it.each(Object.entries(ways))('tells of %s', async (_what, go) => {
      const opened = await open(here)
      const expected = await go(opened)
      expect((await eventsAfter(opened.backend)).map(told)).toEqual(expected)
    })

    it('names the execution, the time, the lease and what people see of it', async () => {
      const { backend, clock } = await open(here)
      const submittedAtMs = clock.nowMs()
      const id = await submit(backend)
      await clock.advance(7)
      const { epoch, leaseId } = await claimOne(backend)
      const [submitted, claimed] = await eventsAfter(backend)
      const common = { executionId: id, cursor: expect.any(String), detail: undefined }
      expect(submitted).toEqual({
        ...common,
        event: 'submit',
        state: 'runnable.ready',
        publicState: 'waiting',
        atMs: submittedAtMs,
        attempt: undefined,
        epoch: undefined,
        by: 'submitter',
        worker: undefined,
      })
      expect(claimed).toEqual({
        ...common,
        event: 'claim',
        state: 'leased.held',
        publicState: 'active',
        atMs: submittedAtMs + 7,
        attempt: 0,
        epoch,
        by: 'worker',
        worker: 'worker',
      })
      // Whoever knew both could act for the worker.
      expect(JSON.stringify(claimed)).not.toContain(leaseId)
    })

    it('does not take a worker for an operator that is named like one', async () => {
      const { backend } = await open(here)
      await submit(backend)
      await claimOne(backend, { worker: 'operator' })
      const last = (await eventsAfter(backend)).at(-1)
      expect(last).toMatchObject({ by: 'worker', worker: 'operator' })
    })

    it('has nothing of calls that were refused, repeated, or changed no state', async () => {
      const opened = await open(here)
      const { backend } = opened
      const first = await submitAndClaim(backend, { idempotencyKey: 'key' })
      const id = first.executionId
      const before = (await backend.readEvents(0, undefined, 1)).cursor
      await backend.renew(first.handle)
      await backend.progress(first.handle, 50, 'half')
      await backend.watch(id)
      await backend.submit(work({ idempotencyKey: 'key' }))
      await refusal(backend.blockExecution(id, 'reason'), 'execution_not_eligible')
      await refusal(backend.purgeExecution(id), 'execution_not_terminal')
      await backend.issueClaimGrant(await submit(backend), { worker: 'worker' })
      expect((await eventsAfter(backend, before)).map(({ event }) => event)).toEqual(['submit'])
      await backend.complete(first.handle, bytes('result'))
      const after = (await backend.readEvents(0, undefined, 1)).cursor
      expect(await backend.complete(first.handle, bytes('result'))).toMatchObject({
        replayed: true,
      })
      await refusal(backend.fail(first.handle, failure, 'transient'), 'already_settled')
      expect(await eventsAfter(backend, after)).toEqual([])
    })

    it('has nothing of a priority that stays as it is', async () => {
      const opened = await open(here)
      const id = await submit(opened.backend, { priority: 3 })
      const again = () => opened.backend.changePriority(id, 3)
      expect(await withoutTrace(opened, again)).toEqual({ from: 3, to: 3 })
    })

    it('keeps the order of calls that travel together, and tells all of them', async () => {
      const { backend } = await open(here)
      const submitted = await Promise.all(Array.from({ length: 300 }, () => submit(backend)))
      const claimed = await claimAll(backend)
      await Promise.all(claimed.map(({ handle }) => backend.complete(handle)))
      const events = await eventsAfter(backend)
      const idsOf = (name: string) =>
        events.filter(({ event }) => event === name).map(({ executionId }) => executionId)
      expect(idsOf('submit')).toEqual(submitted)
      expect(idsOf('claim')).toEqual(claimed.map(({ executionId }) => executionId))
      expect(idsOf('complete')).toEqual(idsOf('claim'))
      expect(events).toHaveLength(300 + 2 * claimed.length)
    })

    it('goes on after any event, wherever its page and its call ended', async () => {
      const { backend } = await open(here)
      for (let round = 0; round < 3; round++) {
        await Promise.all(Array.from({ length: 4 }, () => submit(backend)))
      }
      const events = await eventsAfter(backend)
      expect(new Set(events.map(({ cursor }) => cursor)).size).toBe(12)
      for (const [at, { cursor }] of events.entries()) {
        expect(await eventsAfter(backend, cursor)).toEqual(events.slice(at + 1))
      }
      for (const count of [1, 3, 5]) {
        const pages = await pagesAfter(backend, beginning, { count })
        expect(pages.every((page) => page.events.length <= count)).toBe(true)
        expect(pages.flatMap((page) => page.events)).toEqual(events)
      }
    })

    it('tells where it ends, to go on from there', async () => {
      const opened = await open(here)
      const { backend } = opened
      await submit(backend)
      const now = () => backend.readEvents(0, undefined, 5)
      const page = await withoutTrace(opened, now)
      expect(page).toMatchObject({ events: [], missed: false, more: false })
      const id = await submit(backend)
      const [event, ...others] = await eventsAfter(backend, page.cursor)
      expect(event).toMatchObject({ executionId: id, event: 'submit' })
      expect(others).toEqual([])
    })

    it('is read without a trace', async () => {
      const opened = await open(here)
      await submit(opened.backend)
      await withoutTrace(opened, () => opened.backend.readEvents(0, beginning, 5))
      await withoutTrace(opened, () => opened.backend.followEvents(0, beginning, 5))
    })

    it('is there for each partition (S-W33)', async () => {
      const { backend } = await open()
      const ids = await Promise.all(Array.from({ length: 40 }, () => submit(backend)))
      const found: string[] = []
      for (const partition of backend.partitions) {
        for (const { executionId = '' } of await eventsAfter(backend, beginning, { partition })) {
          expect(executionId.startsWith(`${partition}-`)).toBe(true)
          found.push(executionId)
        }
      }
      expect(found.sort()).toEqual([...ids].sort())
    })

    it('refuses what is no cursor, no partition and no count', async () => {
      const opened = await open(here)
      const { backend } = opened
      const wrong: readonly (() => Promise<unknown>)[] = [
        () => backend.readEvents(1, beginning, 1),
        () => backend.readEvents(0, beginning, 0),
        () => backend.readEvents(0, 'x', 1),
        () => backend.readEvents(0, '1', 1),
        () => backend.readEvents(0, '-1.0', 1),
        () => backend.readEvents(0, `${'9'.repeat(16)}.0`, 1),
        () => backend.followEvents(0, undefined as unknown as string, 1),
        () => backend.followEvents(0, beginning, 1.5),
        () => backend.keepEvents({ bytes: -1, ms: 0 }),
        () => backend.keepEvents({ bytes: 0, ms: 0.5 }),
      ]
      for (const call of wrong) await refusedWithoutTrace(opened, call, 'invalid_input')
    })
  })

  describe('whoever follows the feed', () => {
    it('is told of the next event, wherever it comes from', async () => {
      const opened = await open(here)
      const other = await opened.peer()
      for (const submitter of [opened.backend, other.backend]) {
        const heard = await listen(opened.backend)
        await atEnd(opened.backend)
        await submit(submitter)
        await heard.once
      }
    })

    it('is told once, until it looks again', async () => {
      const { backend } = await open(here)
      const heard = await listen(backend)
      const cursor = await atEnd(backend)
      await submit(backend)
      await heard.once
      await submit(backend)
      expect(await eventsAfter(backend, cursor)).toHaveLength(2)
      await backend.followEvents(0, cursor, 5)
      await submit(backend)
      // Notices come in order: had there been others, they would be here before this one.
      await atEnd(backend)
      await submit(backend)
      await heard.times(2)
      expect(heard.count()).toBe(2)
    })

    it('is not told of anything while it has not read what there is', async () => {
      const opened = await open(here)
      const { backend } = opened
      await submit(backend)
      const heard = await listen(backend)
      await withoutTrace(opened, () => backend.followEvents(0, beginning, 1))
      await submit(backend)
      await atEnd(backend)
      await submit(backend)
      await heard.once
      expect(heard.count()).toBe(1)
    })

    it('is one of many who are all told', async () => {
      const { backend, peer } = await open(here)
      const followers = [backend, (await peer()).backend, (await peer()).backend]
      const heard = await Promise.all(followers.map(listen))
      await Promise.all(followers.map(atEnd))
      await submit(backend)
      await Promise.all(heard.map(({ once }) => once))
    })

    it('reads on where it was, however often it was told', async () => {
      const { backend } = await open(here)
      let cursor = await atEnd(backend)
      const seen: (string | undefined)[] = []
      for (let round = 0; round < 20; round++) {
        const id = await submit(backend)
        const page = await backend.followEvents(0, cursor, 5)
        cursor = page.cursor
        seen.push(...page.events.map(({ executionId }) => executionId))
        expect(seen.at(-1)).toBe(id)
        await backend.followEvents(0, cursor, 5)
      }
      expect(seen).toHaveLength(20)
      expect((await eventsAfter(backend)).map(({ executionId }) => executionId)).toEqual(seen)
    })
  })
}

/** Registers at the end of the feed; returns its cursor. */
async function atEnd(backend: EngineBackend): Promise<string> {
  const { cursor } = await backend.readEvents(0, undefined, 1)
  expect((await backend.followEvents(0, cursor, 5)).events).toEqual([])
  return cursor
}

/** Hears of partition 0; a gap is not counted. */
async function listen(backend: EngineBackend) {
  let count = 0
  const waiting: (() => void)[] = []
  await backend.onEvents((partition) => {
    if (partition === undefined) return
    count += 1
    for (const check of [...waiting]) check()
  })
  const times = (wanted: number) =>
    new Promise<void>((resolve) => {
      const check = () => {
        if (count >= wanted) resolve()
      }
      waiting.push(check)
      check()
    })
  return { count: () => count, times, once: times(1) }
}
