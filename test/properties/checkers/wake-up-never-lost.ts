// Nothing stays suspended once its condition is met, whenever the signals came.
import { suspensionOf } from '../waiting.ts'
import { episodeOf, holds } from './naive-condition.ts'
import type { Performed } from './performed.ts'

export function wakeUpNeverLost(performed: Performed): string | undefined {
  const { call, answer, before, after } = performed
  if (call.name === 'signal.deliver' && answer.outcome === 'accepted') {
    const why = deliveryProblem(performed, call.args.id, answer.effect)
    if (why !== undefined) return why
  }
  if (before.text === after.text) return undefined
  for (const [id, { state }] of after.records) {
    if (state !== 'suspended') continue
    const s = suspensionOf(after.dump, id)
    if (s === undefined) return `${id} waits for nothing`
    if (holds(episodeOf(after.dump, id, s))) return `${id} is suspended, but its condition is met`
  }
  return undefined
}

/** The signal that completes a condition resumes in the same step, and says so. */
function deliveryProblem({ before, after }: Performed, id: string, effect: string) {
  const [was, is] = [suspensionOf(before.dump, id), suspensionOf(after.dump, id)]
  const completes = effect === 'resume_condition_satisfied'
  const hasResumed = was?.isOpen === true && is?.f.get('closed') === 'resumed'
  if (completes && !hasResumed) return `a signal completed the condition of ${id} in vain`
  if (!completes && hasResumed) return `${id} was resumed by a signal that says ${effect}`
  const state = after.records.get(id)?.state
  return completes && state === 'suspended' ? `${id} is still suspended` : undefined
}
