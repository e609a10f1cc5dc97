// What has ended stays as it ended, until somebody replays it or it is purged.
import {
  type Checker,
  type Fields,
  idOf,
  isEnded,
  isPerformed,
  numberOf,
  type Step,
  type Stored,
} from '../observation.ts'

const defaultRetentionMs = 86_400_000

/** Whether the step did this to the execution. */
function did({ calls, outcomes }: Step, name: string, id: string): boolean {
  return calls.some(
    (call, at) =>
      call.name === name && idOf(call) === id && isPerformed(outcomes[at] as Step['outcomes'][0]),
  )
}

function mayBeGone(step: Step, id: string, fields: Fields): boolean {
  if (did(step, 'execution.purge', id)) return true
  const keptMs = numberOf(fields, 'retention_ms') ?? defaultRetentionMs
  const isOver = (numberOf(fields, 'ended_at') ?? 0) + keptMs <= step.nowMs
  return isOver && step.calls.some((call) => call.name === 'partition.sweep')
}

/** Everything about the end, without what may be rewritten afterwards: nothing. */
const ending = (stored: Stored, id: string): string => stored.about(id)

export function terminalAbsorbing(): Checker {
  return (step) => {
    const { before, after } = step
    for (const [id, fields] of before.executions) {
      const now = after.executions.get(id)
      if (now === undefined) {
        if (!isEnded(fields) && !step.calls.some(({ name }) => name === 'execution.purge')) {
          return `${id} is gone without having ended`
        }
        if (isEnded(fields) && !mayBeGone(step, id, fields)) return `${id} is gone too early`
      } else if (isEnded(fields) && !did(step, 'execution.replay', id)) {
        if (ending(before, id) !== ending(after, id)) return `${id} changed after its end`
      }
    }
    return undefined
  }
}
