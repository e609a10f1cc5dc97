// A refused call changes nothing, except that it may notice what is due to its execution.
import { dumpText } from '../../support/canonical.ts'
import { type Checker, hasDue, idOf, type Step } from '../observation.ts'

function checkNoticed({ calls, before, after, nowMs }: Step): string | undefined {
  const about = new Set(calls.map(idOf))
  for (const id of new Set([...before.executions.keys(), ...after.executions.keys()])) {
    if (before.about(id) === after.about(id)) continue
    const fields = before.executions.get(id)
    if (!about.has(id)) return `a refusal changed ${id}, which it was not about`
    if (fields === undefined) return `a refusal made ${id}`
    if (!hasDue(fields, nowMs)) return `a refusal changed ${id}, to which nothing was due`
  }
  for (const key of ['lanes', 'config', 'executions']) {
    const was = JSON.stringify(before.dump.get(key)?.value)
    if (was !== JSON.stringify(after.dump.get(key)?.value)) return `a refusal changed ${key}`
  }
  return undefined
}

export function refusalChangesNothing(): Checker {
  return (step) => {
    const { outcomes, before, after } = step
    const isRefused = outcomes.every(
      ({ thrown, answer }) => thrown !== undefined || answer.outcome === 'refused',
    )
    if (!isRefused || dumpText(before.dump) === dumpText(after.dump)) return undefined
    if (outcomes.every(({ thrown }) => thrown !== undefined)) return 'what was thrown out was kept'
    return checkNoticed(step)
  }
}
