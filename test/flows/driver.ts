// Plays events on the oracle and on a subject, and tells where the subject is wrong.
import { isDeepStrictEqual } from 'node:util'
import { Oracle } from './oracle/oracle.ts'
import { Shape } from './shape.ts'
import {
  endings,
  type FlowCall,
  type FlowEvent,
  type FlowSubject,
  type FlowView,
  type NodeState,
} from './vocabulary.ts'

/** What whoever decides about the next events may know. */
export interface Situation {
  readonly view: FlowView
  readonly unsealed: ReadonlySet<string>
}

/** Decides what happens next, from what is the case. */
export type Play = (situation: Situation) => readonly FlowEvent[]

export interface Outcome {
  readonly events: readonly FlowEvent[]
  /** The first thing that was wrong; undefined for nothing. */
  readonly problem: string | undefined
  readonly view: FlowView | undefined
  /** Whether the oracle had to be left behind on the way. */
  readonly isLoose: boolean
}

const others = new Set<FlowEvent['do'] | undefined>(['tick', 'again', 'forget', 'pause', 'drain'])

const isCall = (event: FlowEvent | undefined) => event !== undefined && !others.has(event.do)

/** Above so many nodes not every event is followed by a look at everything. */
const smallMax = 24
const looksEach = 8

class Driver {
  readonly events: FlowEvent[] = []
  private readonly oracle = new Oracle()
  private readonly shape = new Shape()
  private readonly subject: FlowSubject
  private paused: 'no' | 'careful' | 'rash' = 'no'
  /** From here on only what holds in any order is asked for. */
  private isLoose = false

  constructor(subject: FlowSubject) {
    this.subject = subject
  }

  async situation(): Promise<Situation> {
    const view = this.isLoose ? await this.subject.look() : this.oracle.view()
    return { view, unsealed: this.shape.unsealed }
  }

  /** Answers with what is wrong. */
  async take(event: FlowEvent): Promise<string | undefined> {
    this.events.push(event)
    switch (event.do) {
      case 'pause':
        this.paused = event.rash ? 'rash' : 'careful'
        return undefined
      case 'drain':
        return this.drain()
      case 'forget':
        await this.subject.forget()
        return undefined
      case 'tick':
        return this.tick()
      case 'again':
        // Only the call just before can have lost its reply.
        if (!isCall(this.events.at(-2))) return undefined
        await this.all(this.subject.again())
        return this.check(false)
      default:
        return this.call(event)
    }
  }

  /** Nothing may be left over, and everything must be as it should. */
  async drain(): Promise<string | undefined> {
    this.paused = 'no'
    await this.subject.drain()
    return this.check(true)
  }

  async outcome(problem: string | undefined): Promise<Outcome> {
    const { events, isLoose } = this
    const view = this.oracle.world.flow === undefined ? undefined : await this.subject.look()
    return { events, problem, view, isLoose }
  }

  /** The call, and then all that it leaves over unless somebody said otherwise. */
  private async all<Answer>(asked: Promise<Answer>): Promise<Answer> {
    const answer = await asked
    if (this.paused === 'no') await this.subject.drain()
    return answer
  }

  /** Whether a flow of which everything was done is still not at its end. */
  async unfinished(): Promise<string | undefined> {
    const { state, sealed, nodes } = await this.subject.look()
    if (state !== 'open' || !sealed || this.shape.unsealed.size > 0) return undefined
    const left = Object.entries(nodes).filter(([, node]) => !endings.has(node))
    if (left.length === 0) return undefined
    return `never ends: ${left.map(([name, node]) => `${name} ${node}`).join(', ')}`
  }

  private async tick(): Promise<string | undefined> {
    if (this.paused === 'rash') this.isLoose = true
    else if (this.paused === 'careful') await this.drain()
    const ms = this.isLoose ? 60_001 : this.oracle.tick()
    await this.all(this.subject.tick(ms))
    return this.check(false)
  }

  private async call(call: FlowCall): Promise<string | undefined> {
    if (this.paused !== 'no' && !this.isLoose) {
      const problem = await this.calmBefore(call)
      if (problem !== undefined) return problem
    }
    const expected = this.isLoose ? undefined : this.oracle.call(call)
    const seen = await this.all(this.subject.call(call))
    if ('apply' in call && seen.startsWith('applied')) this.shape.add(call.apply)
    if (expected !== undefined && !agree(call, expected, seen)) {
      return `${call.do} answered ${seen} instead of ${expected}`
    }
    return this.check(false)
  }

  /**
   * While work is left over, the subject is behind. What does not depend on the order of things is
   * done all the same where both see the same node; before anything else the work is done first.
   */
  private async calmBefore(call: FlowCall): Promise<string | undefined> {
    const isSame =
      !('node' in call) || (await this.subject.state(call.node)) === this.stateOf(call.node)
    if (isSame && this.commutes(call)) return undefined
    if (this.paused === 'careful') {
      const problem = await this.drain()
      this.paused = 'careful'
      return problem
    }
    this.isLoose = true
    return undefined
  }

  private stateOf(name: string): NodeState | undefined {
    return this.oracle.world.nodes.get(name)?.state
  }

  private commutes(call: FlowCall): boolean {
    const { flow, groups } = this.oracle.world
    // A group that is closed before it is decided spares nobody.
    const mayDecide = [...groups.values()].every(({ remaining }) => remaining === 'run')
    switch (call.do) {
      case 'create':
      case 'start':
      case 'resume':
      case 'block':
      case 'unblock':
        return true
      case 'apply':
      case 'spawn':
        return mayDecide && flow?.state === 'open'
      case 'complete':
        return mayDecide
      case 'fail':
      case 'cancel':
      case 'stop':
        return mayDecide && flow?.failure !== 'fail_fast'
      default:
        return false
    }
  }

  private async check(isDue: boolean): Promise<string | undefined> {
    if (this.paused !== 'no' || this.oracle.world.flow === undefined) return undefined
    const isLarge = this.oracle.world.nodes.size > smallMax
    if (!isDue && isLarge && this.events.length % looksEach !== 0) return undefined
    const view = await this.subject.look()
    const problem = this.shape.problem(view)
    if (problem !== undefined || this.isLoose) return problem
    return difference(this.oracle.view(), view)
  }

  /** Whether anything of a flow that is not open can still be claimed. */
  async claimed(): Promise<string | undefined> {
    const view = await this.subject.look()
    if (view.state === 'open') return undefined
    for (const [node, state] of Object.entries(view.nodes)) {
      if (endings.has(state) || state === 'active') continue
      const seen = await this.subject.call({ do: 'start', node })
      if (seen !== 'nothing') return `${node} was claimed in a flow that is ${view.state}: ${seen}`
    }
    return undefined
  }
}

function agree(call: FlowCall, expected: string, seen: string): boolean {
  if (expected === seen) return true
  // Which of several codes tells that somebody came too late does not matter here.
  const isLate = expected.startsWith('refused') && 'node' in call && !('reopen' in call)
  return (
    isLate && call.do !== 'spawn' && !call.do.startsWith('replay') && seen.startsWith('refused')
  )
}

function difference(expected: FlowView, seen: FlowView): string | undefined {
  if (isDeepStrictEqual(expected, seen)) return undefined
  const names = new Set([...Object.keys(expected.nodes), ...Object.keys(seen.nodes)])
  const lines = [...names].flatMap((name) =>
    expected.nodes[name] === seen.nodes[name]
      ? []
      : [`${name} is ${seen.nodes[name]} instead of ${expected.nodes[name]}`],
  )
  const rest = ({ nodes: _, ...others }: FlowView) => JSON.stringify(others)
  if (rest(expected) !== rest(seen)) lines.push(`${rest(seen)} instead of ${rest(expected)}`)
  return lines.join('\n') || 'the views differ'
}

/** Plays all of it, then `last` again and again while it has anything to say; looks at the end. */
export async function run(
  plays: readonly Play[],
  subject: FlowSubject,
  last: Play = () => [],
): Promise<Outcome> {
  const driver = new Driver(subject)
  let problem: string | undefined
  const take = async (play: Play): Promise<number> => {
    const situation = driver.events.length === 0 ? emptySituation : await driver.situation()
    const events = play(situation)
    for (const event of events) problem ??= await driver.take(event)
    return events.length
  }
  for (const play of plays) await take(play)
  problem ??= await driver.drain()
  let isGoingOn = true
  while (problem === undefined && isGoingOn) isGoingOn = (await take(last)) > 0
  problem ??= (await driver.drain()) ?? (await driver.claimed()) ?? (await driver.unfinished())
  return driver.outcome(problem)
}

const nothing = {
  state: 'open',
  sealed: false,
  counts: {},
  spared: 0,
  nodes: {},
  held: [],
} as const

const emptySituation: Situation = {
  view: { ...nothing, cancelPolicy: undefined },
  unsealed: new Set(),
}
