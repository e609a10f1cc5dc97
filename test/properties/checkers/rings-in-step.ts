// A ring of keys holds exactly those with work, and is listed among the routes of its lane.
import type { Dump } from '../../support/canonical.ts'
import type { Performed } from './performed.ts'

/** Queue → its keys that have rows. */
function queuesOf(dump: Dump): ReadonlyMap<string, ReadonlySet<string>> {
  const queues = new Map<string, Set<string>>()
  for (const key of dump.keys()) {
    if (!/^(ready|waiters):/.test(key)) continue
    const [queue = '', share] = key.split('||')
    if (share === undefined) continue
    const shares = queues.get(queue) ?? new Set()
    queues.set(queue, shares.add(share))
  }
  return queues
}

/** Queues of ready work that the routes of lanes list. */
function listed(dump: Dump): ReadonlySet<string> {
  const queues = new Set<string>()
  for (const [key, { type, value }] of dump) {
    if (type !== 'set' || !key.startsWith('routes:')) continue
    for (const entry of value) {
      const lane = key.slice('routes:'.length)
      if (entry === '|') queues.add(`ready:${lane}`)
      else if (entry.endsWith('|')) queues.add(`ready:${lane}|${entry.slice(0, -1)}`)
    }
  }
  return queues
}

export function ringsInStep({ before, after }: Performed): string | undefined {
  if (before.text === after.text) return undefined
  const queues = queuesOf(after.dump)
  const routes = listed(after.dump)
  for (const [queue, shares] of queues) {
    const ring = after.dump.get(`turns:${queue}`)
    const members = new Set(ring?.type === 'zset' ? ring.value.map(([member]) => member) : [])
    const missing = [...shares, ''].find((share) => !members.has(share))
    if (missing !== undefined) return `"${missing}" has no turn in ${queue}`
    if (members.size > shares.size + 1) return `somebody without work has a turn in ${queue}`
    if (queue.startsWith('ready:') && !routes.has(queue)) return `${queue} is not listed`
  }
  for (const key of after.dump.keys()) {
    const queue = key.slice('turns:'.length)
    if (key.startsWith('turns:') && !queues.has(queue)) return `there is a ring without ${queue}`
  }
  for (const queue of routes) if (!queues.has(queue)) return `${queue} is listed in vain`
  return undefined
}
