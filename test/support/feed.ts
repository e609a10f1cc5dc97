// Short ways to read a backend's feed.
import type { EngineBackend } from '../../src/persistence/backend.ts'
import type { EventPage, FeedEvent } from '../../src/persistence/feed-backend.ts'

/** The cursor of the beginning. */
export const beginning = '0.0'

/** All pages of one partition after a cursor. */
export async function pagesAfter(
  backend: EngineBackend,
  cursor: string = beginning,
  { partition = 0, count = 1000 } = {},
): Promise<EventPage[]> {
  const pages: EventPage[] = []
  let next = cursor
  for (;;) {
    const page = await backend.readEvents(partition, next, count)
    pages.push(page)
    next = page.cursor
    if (!page.more) return pages
  }
}

/** All events of one partition after a cursor. */
export async function eventsAfter(
  backend: EngineBackend,
  cursor?: string,
  options?: { readonly partition?: number; readonly count?: number },
): Promise<FeedEvent[]> {
  return (await pagesAfter(backend, cursor, options)).flatMap(({ events }) => events)
}

/** An event without what differs from run to run: what happened, where it led, who and why. */
export function told(event: FeedEvent): string {
  const { event: name, state, attempt, by, worker, detail } = event
  const words = [name, state, attempt ?? '-', worker === undefined ? by : `${by} ${worker}`, detail]
  return words.filter((word) => word !== undefined).join(' ')
}

/** A dump without the feed, which goes on telling of what is gone. */
export function withoutFeed(dump: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  const isFeed = /(?:^|:)(?:feed(?::\d+)?|segments)$/
  return new Map([...dump].filter(([key]) => !isFeed.test(key)))
}
