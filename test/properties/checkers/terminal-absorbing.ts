// What has ended stays as it is until it is replayed or purged.
import { dueTimes } from '../world.ts'
import { type Performed, pairs } from './performed.ts'

export function terminalAbsorbing(performed: Performed): string | undefined {
  const { call, nowMs } = performed
  for (const [id, before, after] of pairs(performed)) {
    if (after === undefined) {
      // One sweep may end what is due and purge what need not be kept.
      const canEnd = call.name === 'partition.sweep' && dueTimes(before).some((at) => at <= nowMs)
      if (before.ended_at === undefined && !canEnd) return `${id} is gone before it ended`
      const isPurge = call.name === 'partition.sweep' || call.name === 'execution.purge'
      if (!isPurge) return `${call.name} removed ${id}`
      continue
    }
    if (before.ended_at === undefined) continue
    if (call.name === 'execution.replay' && call.args.id === id) continue
    if (JSON.stringify(before) !== JSON.stringify(after)) return `${id} changed after its end`
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
