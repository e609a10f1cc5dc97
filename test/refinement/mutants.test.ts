// Shows that the refinement has no holes where they would hurt: it catches planted mistakes.
import { afterAll, beforeAll, expect, it } from 'vitest'
import { observingLibrary } from '../support/observing-library.ts'
import { Coverage } from './coverage.ts'
import { type Mutation, mutated, mutations } from './mutations.ts'
import { projections } from './projections.ts'
import { refine } from './refine.ts'
import { type EdgeServer, startEdgeServer } from './server.ts'

let server: EdgeServer

beforeAll(async () => {
  server = await startEdgeServer()
})

afterAll(() => server.stop())

/** First a part of everything, and of that what is about it: what all of it misses is rare. */
function roundsOf({ about }: Mutation) {
  const first = projections.filter(({ name }) => name === about)
  const others = projections.filter(({ name }) => name !== about)
  return [5000, 50_000, Number.POSITIVE_INFINITY].flatMap((edgesMax) =>
    [...first, ...others].map((projection) => [projection, edgesMax] as const),
  )
}

it.each(mutations)('The refinement notices when $name', async (mutation) => {
  const runner = await server.runner(observingLibrary(mutated(mutation)))
  let edges = 0
  for (const [projection, edgesMax] of roundsOf(mutation)) {
    const refined = await refine(runner, projection, new Coverage(), edgesMax)
    edges += refined.edges
    const [found] = refined.differences
    if (found === undefined) continue
    const call = found.split('\n').find((_, index, lines) => lines[index + 1]?.startsWith('model '))
    console.log(`${mutation.name}: '${projection.name}', within ${edges} edges, ${call}`)
    return
  }
  expect.fail(`not noticed in ${edges} edges`)
})
