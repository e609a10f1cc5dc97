// Reading and following the feed, and how much of it is kept.
import type { Answer, Arguments } from '../../contract.ts'
import type { CallContext } from '../call-context.ts'

export function readEvents(
  { feed }: CallContext,
  { place }: Arguments<'partition.events'>,
): Answer<'partition.events'> {
  return { outcome: 'events', ...feed.read(place) }
}

export function followEvents(
  { feed, keyspace }: CallContext,
  { place }: Arguments<'partition.follow'>,
): Answer<'partition.follow'> {
  const found = feed.read(place)
  if (found.text.byteLength === 0) keyspace.feed.followed = true
  return { outcome: 'events', ...found }
}

export function keepEvents(
  { keyspace }: CallContext,
  { bytes, ms }: Arguments<'partition.keep_events'>,
): Answer<'partition.keep_events'> {
  keyspace.config.set('feed_bytes', String(bytes))
  keyspace.config.set('feed_ms', String(ms))
  return { outcome: 'changed' }
}
