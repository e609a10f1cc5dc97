// What has ended stays as it is until it is replayed or purged.
import { dueTimes, type Fields } from '../world.ts'
import { type Performed, pairs } from './performed.ts'

const purging: ReadonlySet<string> = new Set(['partition.sweep', 'execution.purge', 'flow.purge'])
const replaying: ReadonlySet<string> = new Set(['execution.replay', 'flow.replay'])

/** Whoever was given up because of a dependency runs again when that does. */
function isRerun(before: Fields, after: Fields): boolean {
  const isGivenUp = before.reason === 'dependency_failed'
  return isGivenUp && Number(after.replays ?? 0) > Number(before.replays ?? 0)
}

/** An ended execution may still become the upstream of new work. */
function textOf({ has_down: _, ...fields }: Fields): string {
  return JSON.stringify(fields)
}

export function terminalAbsorbing(performed: Performed): string | undefined {
  const { call, nowMs } = performed
  for (const [id, before, after] of pairs(performed)) {
    if (after === undefined) {
      // One sweep may end what is due, with what depends on that, and purge what need not be kept.
      const isDue = before.flow !== undefined || dueTimes(before).some((at) => at <= nowMs)
      const canEnd = call.name === 'partition.sweep' && isDue
      if (before.ended_at === undefined && !canEnd) return `${id} is gone before it ended`
      const isPurge = purging.has(call.name)
      if (!isPurge) return `${call.name} removed ${id}`
      continue
    }
    if (before.ended_at === undefined) continue
    if (replaying.has(call.name) && 'id' in call.args && call.args.id === id) continue
    if (isRerun(before, after)) continue
    if (textOf(before) !== textOf(after)) return `${id} changed after its end`
    const ending = (at: 'before' | 'after') => performed[at].dump.get(`out:${id}`)?.value
    if (ending('before') !== ending('after')) return `the ending of ${id} changed`
    for (const kind of ['wait', 'points', 'signals']) {
      const text = (at: 'before' | 'after') =>
        JSON.stringify(performed[at].dump.get(`${kind}:${id}`))
      if (text('before') !== text('after')) return `the ${kind} of ${id} changed after its end`
    }
  }
  return undefined
}
