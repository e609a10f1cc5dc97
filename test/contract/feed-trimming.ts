// How much of the feed is kept, and what a reader is told whose place is gone.
import { describe, expect, it } from 'vitest'
import { counts, defaults } from '../../src/limits.ts'
import type { EngineBackend } from '../../src/persistence/backend.ts'
import type { Open } from '../support/backends.ts'
import { submit, sweepAll, withoutTrace } from '../support/executions.ts'
import { beginning, eventsAfter, pagesAfter } from '../support/feed.ts'

const here = { partitions: 1 }
const hour = 3_600_000
const day = 24 * hour

/** Some events of about 130 bytes each, one after the other. */
async function makeEvents(backend: EngineBackend, count: number): Promise<void> {
  const id = await submit(backend)
  const reason = 'r'.repeat(64)
  const calls: Promise<void>[] = []
  for (let made = 1; made < count; made += 2) {
    calls.push(backend.blockExecution(id, reason), backend.unblockExecution(id, reason))
    // Not all in one line: a line is never cut.
    if (calls.length >= 16) await Promise.all(calls.splice(0))
  }
  await Promise.all(calls)
}

/** More than a segment holds. */
const manyEvents = 201

const ownEvents = (backend: EngineBackend, cursor?: string) =>
  pagesAfter(backend, cursor).then((pages) => ({
    missed: pages.map(({ missed }) => missed),
    count: pages.reduce((sum, { events }) => sum + events.length, 0),
    cursor: pages.at(-1)?.cursor,
  }))

export function describeFeedTrimming(open: Open): void {
  describe('the feed that grows', () => {
    it('is read over all its segments, and nothing is missed', async () => {
      const { backend } = await open(here)
      await makeEvents(backend, 3 * manyEvents)
      const events = await eventsAfter(backend)
      expect(events.length).toBeGreaterThanOrEqual(3 * manyEvents)
      const { missed } = await ownEvents(backend)
      expect(missed.length).toBeGreaterThan(3)
      expect(missed).not.toContain(true)
      for (const at of [0, 100, 150, 300, 600]) {
        const rest = await eventsAfter(backend, events[at]?.cursor)
        expect(rest).toEqual(events.slice(at + 1))
      }
    })

    it('drops the oldest events when they take too much room, and says so', async () => {
      const { backend } = await open(here)
      await backend.keepEvents({ bytes: 2 * counts.feedSegmentBytes, ms: day })
      await makeEvents(backend, 10 * manyEvents)
      const { missed, count } = await ownEvents(backend)
      expect(missed[0]).toBe(true)
      expect(missed.slice(1)).not.toContain(true)
      const perEvent = 134
      expect(count).toBeGreaterThan((1.5 * counts.feedSegmentBytes) / perEvent)
      expect(count).toBeLessThan((4 * counts.feedSegmentBytes) / perEvent)
      const last = (await eventsAfter(backend)).at(-1)
      expect(last).toMatchObject({ event: 'unblock' })
    })

    it('can be kept as short as its end', async () => {
      const { backend, dump } = await open(here)
      await backend.keepEvents({ bytes: 0, ms: day })
      await makeEvents(backend, 5 * manyEvents)
      const keys = [...(await dump()).keys()].map((key) => key.replace(/^\{.*\}:/, ''))
      expect(keys.filter((key) => key.startsWith('feed'))).toEqual(
        keys.includes('feed') ? ['feed'] : [],
      )
    })

    it('drops events whose time is over, with a sweep', async () => {
      const { backend, clock } = await open(here)
      await submit(backend)
      await clock.advance(hour)
      await sweepAll(backend)
      await clock.advance(defaults.feedMs - hour - 1)
      await sweepAll(backend)
      expect(await ownEvents(backend)).toMatchObject({ missed: [false], count: 1 })
      const id = await submit(backend)
      await clock.advance(1)
      await sweepAll(backend)
      expect(await ownEvents(backend)).toMatchObject({ missed: [true], count: 1 })
      const [event] = await eventsAfter(backend)
      expect(event?.executionId).toBe(id)
    })

    it('keeps events for as long as it is told to', async () => {
      const { backend, clock } = await open(here)
      await backend.keepEvents({ bytes: defaults.feedBytes, ms: 2 * hour })
      await submit(backend)
      await clock.advance(2 * hour - 1)
      await sweepAll(backend)
      expect((await ownEvents(backend)).count).toBe(1)
      await clock.advance(1)
      await sweepAll(backend)
      expect((await ownEvents(backend)).count).toBe(0)
    })

    it('is not touched by a sweep while nothing is old', async () => {
      const opened = await open(here)
      await submit(opened.backend)
      await opened.clock.advance(hour - 1)
      await withoutTrace(opened, () => sweepAll(opened.backend))
    })
  })

  describe('a reader of the feed', () => {
    it('is told once that it missed events, and goes on from the oldest', async () => {
      const { backend, clock } = await open(here)
      await submit(backend)
      const { cursor } = await backend.readEvents(0, undefined, 1)
      await submit(backend)
      await clock.advance(day)
      await sweepAll(backend)
      const id = await submit(backend)
      const page = await backend.readEvents(0, cursor, 5)
      expect(page).toMatchObject({ missed: true, events: [{ executionId: id }] })
      expect(await backend.readEvents(0, page.cursor, 5)).toMatchObject({ missed: false })
    })

    it('has missed nothing when all that was dropped is what it has read', async () => {
      const { backend, clock } = await open(here)
      await submit(backend)
      const { cursor } = await backend.readEvents(0, beginning, 5)
      await backend.followEvents(0, cursor, 5)
      for (let round = 0; round < 3; round++) {
        await clock.advance(day)
        await sweepAll(backend)
      }
      expect(await backend.followEvents(0, cursor, 5)).toMatchObject({ missed: false, events: [] })
      const id = await submit(backend)
      expect(await backend.followEvents(0, cursor, 5)).toMatchObject({
        missed: false,
        events: [{ executionId: id }],
      })
    })

    it('is told of the next event also when a sweep has sealed what was before', async () => {
      const { backend, clock } = await open(here)
      await submit(backend)
      const { cursor } = await backend.readEvents(0, beginning, 5)
      await backend.followEvents(0, cursor, 5)
      await clock.advance(day)
      await sweepAll(backend)
      const heard = new Promise<number | undefined>((resolve) => {
        void backend.onEvents(resolve).then(() => submit(backend))
      })
      expect(await heard).toBe(0)
      expect((await backend.readEvents(0, cursor, 5)).events).toHaveLength(1)
    })

    it.each([
      ['behind the end', '1000000.0'],
      ['within a line', '7.0'],
    ])('begins with the oldest event when its cursor is %s', async (_where, cursor) => {
      const { backend } = await open(here)
      const id = await submit(backend)
      expect(await backend.readEvents(0, cursor, 5)).toMatchObject({
        missed: true,
        events: [{ executionId: id }],
      })
    })
  })
}
