// The oracle on trial: known scenarios, the table of verdicts, and mutants of its rules.
import { describe, expect, it } from 'vitest'
import { mutants } from './mutants.ts'
import type { Group } from './oracle/model.ts'
import { rules } from './oracle/rules.ts'
import { scenarios } from './scenarios/all.ts'
import { playScenario } from './scenarios/steps.ts'
import { oracleSubject } from './subjects/oracle-subject.ts'

const verdicts = [
  { policy: 'all', n: 3, k: 0, votes: [2, 0, 0], verdict: 'pending' },
  { policy: 'all', n: 3, k: 0, votes: [3, 0, 0], verdict: 'satisfied' },
  { policy: 'all', n: 3, k: 0, votes: [1, 1, 0], verdict: 'impossible' },
  { policy: 'all', n: 0, k: 0, votes: [0, 0, 0], verdict: 'satisfied' },
  { policy: 'any', n: 3, k: 1, votes: [1, 0, 0], verdict: 'satisfied' },
  { policy: 'any', n: 3, k: 1, votes: [0, 2, 0], verdict: 'pending' },
  { policy: 'any', n: 3, k: 1, votes: [0, 2, 1], verdict: 'impossible' },
  { policy: 'quorum', n: 5, k: 3, votes: [2, 2, 0], verdict: 'pending' },
  { policy: 'quorum', n: 5, k: 3, votes: [2, 2, 1], verdict: 'impossible' },
  { policy: 'quorum', n: 5, k: 3, votes: [3, 2, 0], verdict: 'satisfied' },
] as const

/** Those of a thousand nodes are about limits, of which the rules know nothing. */
const quick = scenarios.filter(({ defects }) => !defects.some((one) => one === 13 || one === 21))

describe('The oracle', () => {
  it.each(verdicts)('finds $policy of $n with k $k and votes $votes $verdict', (row) => {
    const [s, f, x] = row.votes
    const group = { policy: row.policy, k: row.k, collect: undefined } as Group
    expect(rules.verdictOf(group, { n: row.n, s, f, x })).toBe(row.verdict)
  })

  it.each(scenarios)('knows that $name', async (scenario) => {
    expect(await playScenario(scenario, oracleSubject())).toBeUndefined()
  })

  it('has a scenario for every known defect', () => {
    const covered = new Set(scenarios.flatMap(({ defects }) => defects))
    const all = Array.from({ length: 22 }, (_, at) => at + 1)
    expect(all.filter((defect) => !covered.has(defect))).toEqual([])
  })

  it.each(Object.entries(mutants))('is found out when %s', async (_name, wrong) => {
    const found: string[] = []
    for (const scenario of quick) {
      const problem = await playScenario(scenario, oracleSubject({ ...rules, ...wrong })).catch(
        (error: unknown) => String(error),
      )
      if (problem !== undefined) found.push(scenario.name)
    }
    expect(found).not.toEqual([])
  })
})
