// Exhaustive edge refinement: from every reachable state every call, on the model and on a server.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { operationPlans } from '../../src/persistence/generated/operations.ts'
import { Coverage } from './coverage.ts'
import {
  expectedOutcomes,
  expectedTransitions,
  idleReasons,
  reachableLeaves,
} from './expected-rows.ts'
import { projections } from './projections.ts'
import { refine } from './refine.ts'
import { type EdgeServer, shippedBuild, startEdgeServer } from './server.ts'

const timeoutMs = 280_000

let server: EdgeServer
const coverage = new Coverage()
const totals = { states: 0, edges: 0, seconds: 0 }

beforeAll(async () => {
  server = await startEdgeServer()
})

afterAll(async () => {
  await server.stop()
  const { states, edges, seconds } = totals
  const perSecond = Math.round(edges / seconds)
  console.log(
    `refinement: ${states} states, ${edges} edges, ` +
      `${seconds.toFixed(1)} s, ${perSecond} edges/s, ` +
      `${coverage.transitions.size} of ${expectedTransitions.length} transitions, ` +
      `${coverage.rows.size} rows of leaf, operation and outcome`,
  )
})

describe('From every state of one execution, the server does what the model does', () => {
  it.each(projections)('within the bounds of $name', { timeout: timeoutMs }, async (projection) => {
    const runner = await server.runner(shippedBuild())
    const refined = await refine(runner, projection, coverage)
    totals.states += refined.states
    totals.edges += refined.edges
    totals.seconds += refined.seconds
    expect(refined.differences.join('\n\n')).toBe('')
  })
})

describe('The exploration', () => {
  it('visits every leaf that can be reached', () => {
    expect([...coverage.leaves].sort()).toEqual([...reachableLeaves].sort())
  })

  it('takes every way that the lifecycle has, and no other', () => {
    expect([...coverage.transitions].sort()).toEqual([...expectedTransitions].sort())
    expect(idleReasons).toEqual([])
  })

  it('meets every outcome and every refusal, and no other', () => {
    const expected = Object.entries(expectedOutcomes).flatMap(([name, outcomes]) =>
      outcomes.map((outcome) => `${name} ${outcome}`),
    )
    expect([...coverage.outcomes].sort()).toEqual(expected.sort())
  })

  it('asks for everything but what reads alone or is about the partition', () => {
    const left = Object.entries(operationPlans)
      .filter(([name, { reads }]) => !reads && !(name in expectedOutcomes))
      .map(([name]) => name)
    expect(left).toEqual([
      'budget.attach',
      'budget.change',
      'budget.create',
      'budget.describe',
      'budget.note',
      'budget.release',
      'budget.remove',
      'budget.reserve',
      'budget.reset',
      'budget.told',
      // Flows are, too: the oracle of graphs plays these.
      'execution.wait_children',
      'flow.apply',
      'flow.cancel',
      'flow.purge',
      'flow.replay',
      'keyring.rotate',
      'keyring.seed',
      // Limits are about several executions.
      'limit.acquire',
      'limit.admit',
      'limit.owed',
      'limit.pause',
      'limit.release',
      'limit.remove',
      'limit.set',
      'limit.settle',
      'partition.allow',
      'partition.drain',
      'partition.follow',
      'partition.keep_events',
      'partition.open',
      'usage.apply',
      'usage.report',
      'usage.settle',
    ])
    for (const [name, outcomes] of Object.entries(expectedOutcomes)) {
      const { returns } = operationPlans[name as keyof typeof operationPlans]
      expect(outcomes).toEqual(expect.arrayContaining(Object.keys(returns)))
    }
  })
})
