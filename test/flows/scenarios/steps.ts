// How scenarios are written: events, and between them what has to be the case.
import type {
  ApplyPlan,
  CancelPolicy,
  EdgePlan,
  FlowEvent,
  FlowPlan,
  FlowState,
  FlowSubject,
  FlowView,
  GroupPlan,
  HolderVerb,
  JoinPlan,
  NodePlan,
  NodeState,
  Seen,
} from '../vocabulary.ts'

/** What has to be the case after the step before. */
export interface Expectation {
  readonly seen?: Seen
  readonly nodes?: Readonly<Record<string, NodeState>>
  readonly flow?: FlowState
  readonly spared?: number
  readonly policy?: CancelPolicy
}

export type Step = { readonly event: FlowEvent } | { readonly expected: Expectation }

export interface Scenario {
  readonly name: string
  /** Numbers of the defects that it keeps away. */
  readonly defects: readonly number[]
  readonly steps: readonly Step[]
}

const step = (event: FlowEvent): Step => ({ event })

export const expected = (expectation: Expectation): Step => ({ expected: expectation })
export const nodes = (states: Readonly<Record<string, NodeState>>) => expected({ nodes: states })
export const seen = (answer: Seen) => expected({ seen: answer })
export const flow = (state: FlowState) => expected({ flow: state })

export const create = (plan: FlowPlan = {}) => step({ do: 'create', flow: plan })
export const apply = (plan: ApplyPlan) => step({ do: 'apply', apply: plan })

/** Adds nodes given as names or plans, edges as `a>b`, and maybe more. */
export function build(
  names: readonly (string | NodePlan)[],
  arrows = '',
  more: Omit<ApplyPlan, 'nodes' | 'edges'> = {},
): Step {
  return apply(plan(names, arrows, more))
}

function plan(
  names: readonly (string | NodePlan)[],
  arrows = '',
  more: Omit<ApplyPlan, 'nodes' | 'edges'> = {},
): ApplyPlan {
  const made = names.map((name) => (typeof name === 'string' ? { name } : name))
  return { nodes: made, edges: edges(arrows), ...more }
}

/** `a>c b>c` */
export function edges(arrows: string): EdgePlan[] {
  return arrows.split(' ').flatMap((arrow) => {
    const [up = '', down = ''] = arrow.split('>')
    return arrow === '' ? [] : { up, down }
  })
}

export const group = (down: string, given: Partial<GroupPlan>): GroupPlan => ({
  down,
  policy: 'all',
  ...given,
})

export const start = (node: string) => step({ do: 'start', node })
export const gives = (verb: HolderVerb, node: string) => step({ do: verb, node })

/** Claims and ends, one node after the other. */
export const ended = (verb: HolderVerb, ...names: readonly string[]): Step[] =>
  names.flatMap((name) => [start(name), seen(`claimed ${name}`), gives(verb, name)])

export const spawn = (node: string, names: readonly string[], arrows: string) =>
  step({ do: 'spawn', node, apply: plan(names, arrows) })

export const wait = (node: string, join?: JoinPlan) =>
  step(join === undefined ? { do: 'wait', node } : { do: 'wait', node, join })

export const cancelFlow = (policy: CancelPolicy) => step({ do: 'cancelFlow', policy })
export const replay = (node: string, reopen = false) => step({ do: 'replay', node, reopen })
export const replaySubgraph = (node: string) => step({ do: 'replaySubgraph', node })
export const tick = step({ do: 'tick' })
export const again = step({ do: 'again' })
export const operate = (verb: 'stop' | 'resume' | 'block' | 'unblock' | 'revoke', node: string) =>
  step({ do: verb, node })

function wrongOf(expectation: Expectation, last: Seen, view: FlowView): string | undefined {
  const wrong: string[] = []
  const compare = (what: string, found: unknown, wanted: unknown) => {
    if (wanted !== undefined && found !== wanted) wrong.push(`${what}: ${found}, not ${wanted}`)
  }
  compare('answer', last, expectation.seen)
  compare('flow', view.state, expectation.flow)
  compare('spared', view.spared, expectation.spared)
  compare('policy', view.cancelPolicy, expectation.policy)
  for (const [name, state] of Object.entries(expectation.nodes ?? {})) {
    compare(name, view.nodes[name], state)
  }
  return wrong.length === 0 ? undefined : wrong.join('; ')
}

/** Plays a scenario and answers with the first thing that is wrong. */
export async function playScenario(
  { steps }: Scenario,
  subject: FlowSubject,
): Promise<string | undefined> {
  let last: Seen = ''
  for (const [index, one] of steps.entries()) {
    if ('expected' in one) {
      await subject.drain()
      const wrong = wrongOf(one.expected, last, await subject.look())
      if (wrong !== undefined) return `step ${index}: ${wrong}`
    } else {
      last = await perform(one.event, subject, last)
    }
  }
  return undefined
}

/** Long enough for every start and backoff of a scenario; no deadline is as near. */
const tickMs = 1000

async function perform(event: FlowEvent, subject: FlowSubject, last: Seen): Promise<Seen> {
  switch (event.do) {
    case 'tick':
      await subject.tick(tickMs)
      return last
    case 'again':
      return subject.again()
    case 'forget':
      await subject.forget()
      return last
    case 'drain':
      await subject.drain()
      return last
    case 'pause':
      return last
    default:
      return subject.call(event)
  }
}
