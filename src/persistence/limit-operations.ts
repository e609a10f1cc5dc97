// Limits over any store: every partition knows what they allow, one counts each bucket.
import { partitionOfBucket } from '../ids.ts'
import { bounds } from '../limits.ts'
import { anyCount, checkWhole, checkWord } from './arguments.ts'
import type { LimitBackend, LimitPolicy, LimitSummary } from './limit-backend.ts'
import type { Store } from './store.ts'
import { storedCall } from './stored-call.ts'

function storedPolicy(name: string, { concurrency, rate, perKey = false }: LimitPolicy) {
  if (concurrency !== undefined)
    checkWhole('concurrency', concurrency, { ...bounds.slot_count, min: 1 })
  if (rate !== undefined) checkWhole('rate.count', rate.count, { ...bounds.start_count, min: 1 })
  return {
    limit: name,
    slots: concurrency ?? 0,
    starts: rate?.count ?? 0,
    window_ms: rate?.windowMs ?? bounds.window_ms.min,
    per_key: perKey,
  }
}

function readDefinition(name: string, text: string): LimitSummary {
  const [slots = 0, starts = 0, windowMs = 0, perKey] = text.split(' ').map(Number)
  return {
    name,
    concurrency: slots === 0 ? undefined : slots,
    rate: starts === 0 ? undefined : { count: starts, windowMs },
    perKey: perKey === 1,
  }
}

/** The limits' part of a backend. */
export function limitOperations(store: Store): LimitBackend {
  const partitions = Array.from({ length: store.partitionCount }, (_, partition) => partition)
  const homeOf = (name: string, key: string | undefined) => {
    checkWord('limit', name)
    if (key !== undefined) checkWord('key', key)
    return partitionOfBucket(key === undefined ? name : `${name}|${key}`, partitions.length)
  }
  return {
    async setLimit(name, policy) {
      const args = { ...storedPolicy(name, policy), partitions: partitions.length }
      await Promise.all(partitions.map((at) => storedCall(store, at, 'limit.set', args)))
    },
    async removeLimit(name) {
      const answers = await Promise.all(
        partitions.map((at) => storedCall(store, at, 'limit.remove', { limit: name })),
      )
      const isRemoved = answers.some(({ outcome }) => outcome === 'removed')
      return { outcome: isRemoved ? 'removed' : 'absent' }
    },
    async pauseLimit(name, key, until) {
      const home = homeOf(name, key)
      const time =
        typeof until === 'number'
          ? { until_ms: until, for_ms: undefined }
          : { until_ms: undefined, for_ms: until.forMs }
      const args = { limit: name, key, ...time }
      // Every bucket of the limit asks its own partition whether all of it is paused.
      const asked = key === undefined ? partitions : [home]
      await Promise.all(asked.map((at) => storedCall(store, at, 'limit.pause', args)))
    },
    async describeLimit(name, key) {
      const args = { limit: name, key }
      const found = await storedCall(store, homeOf(name, key), 'limit.describe', args)
      if (found.outcome === 'absent') return undefined
      const { active, started, waiting, paused_until, room_at } = found
      return {
        ...readDefinition(name, found.definition),
        key,
        active,
        started,
        waiting,
        pausedUntilMs: paused_until,
        roomAtMs: room_at,
      }
    },
    async listLimits(cursor, limit) {
      checkWhole('limit', limit, anyCount)
      const { limits } = await storedCall(store, 0, 'limit.list', {})
      const after = Object.keys(limits)
        .sort()
        .filter((name) => cursor === undefined || name > cursor)
      const items = after
        .slice(0, limit)
        .map((name) => readDefinition(name, limits[name] as string))
      return { items, nextCursor: after.length > limit ? items.at(-1)?.name : undefined }
    },
  }
}
