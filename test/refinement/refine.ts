// Runs every edge of a projection on a server, both sides at work at once, until they differ.
import type { Coverage } from './coverage.ts'
import { explore } from './explore.ts'
import type { Projection } from './projections.ts'
import type { EdgeRunner } from './server.ts'

/** What was explored before the end or the first difference. */
export interface Refined {
  readonly states: number
  readonly edges: number
  readonly seconds: number
  /** The edges on which the server differs from the model, as text; none when it refines it. */
  readonly differences: readonly string[]
}

/** How many batches are under way at once: enough to keep both sides busy. */
const batchesMax = 4

/** Explores until the first difference, the end, or about so many edges. */
export async function refine(
  runner: EdgeRunner,
  projection: Projection,
  coverage: Coverage,
  edgesMax: number = Number.POSITIVE_INFINITY,
): Promise<Refined> {
  const startedMs = performance.now()
  const differences: string[] = []
  const running: Promise<void>[] = []
  let states = 0
  let edges = 0
  for (const expansion of explore(projection, coverage)) {
    states += 1
    edges += expansion.edges.length
    running.push(runner.differences(expansion).then((texts) => void differences.push(...texts)))
    if (running.length >= batchesMax) await running.shift()
    if (differences.length > 0 || edges > edgesMax) break
  }
  await Promise.all(running)
  return { states, edges, seconds: (performance.now() - startedMs) / 1000, differences }
}
