// Asks XState itself where events lead, for every leaf, event and set of facts.
import { transition } from 'xstate'
import { type ExecutionEventName, executionMachine } from '../../src/machines/execution.ts'
import { type Fact, facts } from '../../src/machines/facts.ts'

export const factNames = Object.keys(facts) as readonly Fact[]

/** Every set of facts that an event can bring. */
export function factSets(): readonly (readonly Fact[])[] {
  return Array.from({ length: 2 ** factNames.length }, (_, bits) =>
    factNames.filter((_, position) => (bits >> position) & 1),
  )
}

/** `delayed.start` as XState writes it: `{ delayed: 'start' }`. */
function stateValue(leaf: string): string | Record<string, string> {
  const [parent = '', child] = leaf.split('.')
  return child === undefined ? parent : { [parent]: child }
}

function leafName(value: unknown): string {
  if (typeof value === 'string') return value
  const [[parent, child] = ['', '']] = Object.entries(value as Record<string, unknown>)
  return `${parent}.${leafName(child)}`
}

function makeSnapshot(leaf: string) {
  return executionMachine.resolveState({ value: stateValue(leaf) as never })
}

const snapshots = new Map<string, ReturnType<typeof makeSnapshot>>()

function snapshotOf(leaf: string) {
  const snapshot = snapshots.get(leaf) ?? makeSnapshot(leaf)
  snapshots.set(leaf, snapshot)
  return snapshot
}

/** The leaf that XState moves to, or undefined when its machine has no transition for the event. */
export function xstateNext(
  leaf: string,
  type: ExecutionEventName,
  holding: readonly Fact[],
): string | undefined {
  const event = { type, facts: holding }
  const before = snapshotOf(leaf)
  if (executionMachine.getTransitionData(before, event).length === 0) return undefined
  const [after] = transition(executionMachine, before, event)
  return leafName(after.value)
}
