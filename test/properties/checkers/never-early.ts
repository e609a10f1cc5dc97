// Nothing that waits for a time happens before it.
import { type Checker, type Fields, idOf, isDue, isEnded, type Step } from '../observation.ts'

const isRunning = (state: string) =>
  state === 'runnable.ready' || state === 'runnable.resumed' || state.startsWith('leased.')

function problemOf(step: Step, was: Fields, now: Fields): string | undefined {
  const { nowMs, calls } = step
  const [from = '', to = ''] = [was['state'], now['state']]
  const due = (name: string) => isDue(was, name, nowMs)
  if (from.startsWith('delayed.') && isRunning(to) && !due('not_before')) {
    return 'runs before its time'
  }
  if (from === 'leased.held' && to === 'leased.expired' && !due('expires_at')) {
    return 'lost its lease before it ran out'
  }
  if (!isEnded(was) && to === 'terminal.expired') {
    const isOver = now['reason'] === 'deadline' ? due('deadline_at') : due('attempt_deadline_at')
    if (!isOver) return `expired before its ${now['reason']}`
  }
  const hasFailed = calls.some(({ name }) => name === 'execution.fail')
  if (from === 'leased.held' && to === 'delayed.retry' && !hasFailed) {
    if (!due('attempt_deadline_at')) return 'timed out before its attempt was over'
  }
  const hasGrant = was['grant_id'] !== undefined && was['grant_id'] !== now['grant_id']
  if (hasGrant && !to.startsWith('leased.') && !isEnded(now) && !due('grant_until')) {
    return 'lost its grant before that lapsed'
  }
  return undefined
}

export function neverEarly(): Checker {
  return (step) => {
    // A replay, within a batch, starts anew without waiting.
    const replayed = new Set(
      step.calls.filter(({ name }) => name === 'execution.replay').map(idOf),
    )
    for (const [id, was] of step.before.executions) {
      const now = step.after.executions.get(id)
      if (now === undefined || replayed.has(id)) continue
      const problem = problemOf(step, was, now)
      if (problem !== undefined) return `${id} ${problem}`
    }
    return undefined
  }
}
