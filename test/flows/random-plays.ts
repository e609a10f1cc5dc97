// Random graphs and plays against one subject: how many, and what a fault looks like.
import fc from 'fast-check'
import { seedsOf } from '../properties/choices.ts'
import { type Outcome, run } from './driver.ts'
import { graphs } from './graphs.ts'
import { decisionCount, doAll, playsOf } from './plays.ts'
import type { FlowSubject } from './vocabulary.ts'

/** As many random graphs are played on each subject. */
const flowRuns = Number(process.env.HOLDFAST_FLOW_RUNS ?? 1000)

/** Long enough for all of them: fewer than were asked for would prove less than is said. */
export const flowTimeoutMs = Math.max(300_000, flowRuns * 300)

/** Decisions of one play; half of it on average. */
const decisionsMax = 50

const shrinkMs = 20_000

const cases = fc.tuple(graphs, seedsOf(decisionCount, decisionsMax))

/** How often things happened in all plays together: a test that never gets there tests nothing. */
export interface Tally {
  readonly happened: Map<string, number>
  events: number
}

function count({ happened }: Tally, what: string): void {
  happened.set(what, (happened.get(what) ?? 0) + 1)
}

function note(tally: Tally, { events, view, isLoose }: Outcome): void {
  tally.events += events.length
  for (const event of events) count(tally, event.do)
  if (isLoose) count(tally, 'loose')
  if (view === undefined) return
  count(tally, `flow ${view.state}`)
  if (view.spared > 0) count(tally, 'spared')
  for (const state of Object.keys(view.counts)) count(tally, `node ${state}`)
}

/** Plays until something is wrong, and throws with the shortest play that shows it. */
export async function playAll(
  open: () => Promise<FlowSubject>,
  { runs = flowRuns, seed }: { readonly runs?: number; readonly seed?: number } = {},
): Promise<Tally> {
  const tally: Tally = { happened: new Map(), events: 0 }
  // A failing play is made shorter for as long as there is time.
  let failedMs: number | undefined
  const property = fc.asyncProperty(cases, async ([graph, seeds]) => {
    if (failedMs !== undefined && performance.now() - failedMs > shrinkMs) return
    const outcome = await run(playsOf(graph, seeds), await open(), doAll)
    note(tally, outcome)
    if (outcome.problem === undefined) return
    failedMs ??= performance.now()
    const lines = outcome.events.map((event) => JSON.stringify(event))
    throw new Error([outcome.problem, ...lines].join('\n'))
  })
  const report = await fc.check(property, {
    numRuns: runs,
    ...(seed === undefined ? {} : { seed }),
  })
  if (!report.failed) return tally
  const why = report.errorInstance instanceof Error ? report.errorInstance.message : ''
  throw new Error(`seed ${report.seed}, path ${report.counterexamplePath}\n${why}`)
}

const wanted = [
  ...['flow completed', 'flow failed', 'flow cancelled', 'loose', 'spared'],
  ...['completed', 'failed', 'cancelled', 'expired', 'skipped'].map((state) => `node ${state}`),
  ...['create', 'apply', 'start', 'complete', 'fail', 'retry', 'cancel', 'delay', 'suspend'],
  ...['spawn', 'wait', 'stop', 'resume', 'block', 'unblock', 'revoke', 'tick', 'again', 'forget'],
  ...['pause', 'drain', 'cancelFlow', 'replay', 'replaySubgraph'],
]

/** What none of the plays came to. */
export function missing({ happened }: Tally): readonly string[] {
  return wanted.filter((what) => !happened.has(what))
}
