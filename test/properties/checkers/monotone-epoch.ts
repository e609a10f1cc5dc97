// Every lease of an execution has a greater epoch than all before it, and nothing else changes it.
import { type Checker, numberOf } from '../observation.ts'

export function monotoneEpoch(): Checker {
  const greatest = new Map<string, number>()
  return ({ outcomes, before, after }) => {
    for (const { answer } of outcomes) {
      if (answer === undefined || !('rows' in answer) || !('replayed' in answer)) continue
      if (answer.replayed) continue
      for (const { id, epoch } of answer.rows) {
        const last = greatest.get(id) ?? 0
        if (epoch <= last) return `${id} got epoch ${epoch} after ${last}`
        greatest.set(id, epoch)
      }
    }
    for (const [id, fields] of after.executions) {
      const was = before.executions.get(id)
      if (was === undefined) continue
      const isNew = fields['lease_id'] !== was['lease_id']
      if (!isNew && fields['epoch'] !== was['epoch']) return `${id} has another epoch, same lease`
      if (isNew && (numberOf(fields, 'epoch') ?? 0) <= (numberOf(was, 'epoch') ?? 0)) {
        return `${id} has another lease, but no greater epoch`
      }
      if ((numberOf(fields, 'attempt') ?? 0) < (numberOf(was, 'attempt') ?? 0)) {
        return `${id} has fewer attempts than before`
      }
    }
    return undefined
  }
}
