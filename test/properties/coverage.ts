// How often each operation came to each outcome or refusal, so that the net is seen to be whole.
import { operationPlans } from '../../src/persistence/generated/operations.ts'
import type { Performed } from './checkers/performed.ts'

const flags = ['replayed', 'repeated']

export class Coverage {
  /** `operation outcome`, with the flag of a repetition behind it → how often. */
  readonly counts = new Map<string, number>()
  readonly refusals = new Set<string>()

  add({ call, answer }: Performed): void {
    const isRefused = answer.outcome === 'refused'
    if (isRefused) this.refusals.add(answer.code)
    const isRepetition = flags.some((flag) => (answer as unknown as Record<string, unknown>)[flag])
    const outcome = isRefused ? answer.code : `${answer.outcome}${isRepetition ? ' again' : ''}`
    const key = `${call.name} ${outcome}`
    this.counts.set(key, (this.counts.get(key) ?? 0) + 1)
  }

  /** Outcomes that operations declare, and did not come to. */
  missing(): string[] {
    return declaredOutcomes().filter((outcome) => !this.counts.has(outcome))
  }

  table(): string {
    const rows = [...this.counts].sort(([a], [b]) => (a < b ? -1 : 1))
    return rows.map(([key, count]) => `${String(count).padStart(8)} ${key}`).join('\n')
  }
}

function declaredOutcomes(): string[] {
  return Object.entries(operationPlans).flatMap(([name, { returns }]) =>
    Object.entries(returns).flatMap(([outcome, fields]) => {
      const canRepeat = fields.some((field) => flags.includes(field.name))
      return canRepeat ? [`${name} ${outcome}`, `${name} ${outcome} again`] : [`${name} ${outcome}`]
    }),
  )
}
