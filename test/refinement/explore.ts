// Searches every state within a projection, breadth first, and performs every call from each.
import type { Answer, OperationName } from '../../src/persistence/contract.ts'
import type { Keyspace } from '../../src/persistence/embedded/keyspace.ts'
import { answerText, type Dump, dumpText, sha1 } from '../support/canonical.ts'
import { startMs } from '../support/settable-clock.ts'
import { callsFrom } from './alphabet.ts'
import type { Coverage } from './coverage.ts'
import { type Call, copyKeyspace, dumpOf, emptyKeyspace, letDueHappen, perform } from './model.ts'
import type { Projection } from './projections.ts'
import {
  abstractKey,
  fenceOf,
  fieldsOf,
  leafNameOf,
  type State,
  timesOfInterest,
} from './states.ts'
import { executionId } from './subject.ts'

/** One call from one state at one time, and what the model made of it. */
export interface Edge {
  readonly nowMs: number
  readonly call: Call
  readonly answer: Answer<OperationName>
  /** Of the answer and everything stored afterwards. */
  readonly digest: string
}

/** A state that was reached, and by which edge from which other. */
export interface Reached extends State {
  readonly from: Reached | undefined
  readonly by: Pick<Edge, 'nowMs' | 'call'> | undefined
}

/** Everything that is performed from one state. */
export interface Expansion {
  readonly state: Reached
  readonly dump: Dump
  readonly edges: readonly Edge[]
}

/** Between complete comparisons, the model's own log says whether it changed anything. */
const fullComparisonEvery = 64

/** All edges from every state within the projection, in order of distance from nothing. */
export function* explore(projection: Projection, coverage: Coverage): Generator<Expansion> {
  const start: Reached = {
    keyspace: emptyKeyspace(projection.waits !== undefined),
    nowMs: startMs,
    past: undefined,
    leases: 1,
    from: undefined,
    by: undefined,
  }
  const known = new Set([abstractKey(start)])
  const queue = [start]
  for (const state of queue) {
    coverage.visit(leafNameOf(state.keyspace))
    yield expand(state, projection, coverage, (next) => {
      const key = abstractKey(next)
      if (known.has(key) || !isWithin(next, projection)) return
      known.add(key)
      queue.push(next)
    })
  }
}

function isWithin({ keyspace }: State, projection: Projection): boolean {
  const f = fieldsOf(keyspace)
  return f === undefined || projection.within(f, keyspace.lanes.get(f.lane) ?? '', keyspace)
}

function expand(
  state: Reached,
  projection: Projection,
  coverage: Coverage,
  reach: (next: Reached) => void,
): Expansion {
  const dump = dumpOf(state.keyspace)
  const text = dumpText(dump)
  const unchanged = sha1(text)
  const edges: Edge[] = []
  let copy = copyKeyspace(state.keyspace)
  for (const nowMs of timesOfInterest(state)) {
    const afterDue = whatIsDue(state, nowMs)
    // Time alone also leads on: what nobody has noticed yet may look different.
    reach({ ...state, nowMs, from: state, by: undefined })
    for (const call of callsFrom(state, nowMs, projection)) {
      const answer = perform(copy, nowMs, call)
      let stored = unchanged
      if (isChanged(copy, state.keyspace)) {
        stored = sha1(dumpText(dumpOf(copy)))
        reach(successor(state, copy, nowMs, call))
      } else if (edges.length % fullComparisonEvery === 0 && dumpText(dumpOf(copy)) !== text) {
        throw new Error(`the model changed without saying so: ${call.name}`)
      }
      coverage.add(leafNameOf(state.keyspace), afterDue, call.name, answer, leafNameOf(copy))
      const digest = sha1(`${answerText(call.name, answer)}\n${stored}`)
      edges.push({ nowMs, call, answer, digest })
      if (stored !== unchanged) copy = copyKeyspace(state.keyspace)
    }
  }
  return { state, dump, edges }
}

function isChanged(keyspace: Keyspace, before: Keyspace): boolean {
  const sleepers = (of: Keyspace) => [...of.sleepers].join()
  return keyspace.changes.take().size > 0 || sleepers(keyspace) !== sleepers(before)
}

/** What the execution is like once everything has happened that is due at a time. */
function whatIsDue({ keyspace }: State, nowMs: number) {
  const copy = copyKeyspace(keyspace)
  letDueHappen(copy, executionId, nowMs)
  const [before, after] = [fieldsOf(keyspace), fieldsOf(copy)]
  const isOpen = before?.wait_until !== undefined && after?.state === 'suspended'
  return {
    leaf: leafNameOf(copy),
    reason: after?.reason,
    hasEscalated: isOpen && after.wait_until === undefined,
  }
}

function successor(state: Reached, keyspace: Keyspace, nowMs: number, call: Call): Reached {
  const before = fenceOf(fieldsOf(state.keyspace))
  const after = fenceOf(fieldsOf(keyspace))
  const isNew = after?.lease_id !== before?.lease_id
  return {
    keyspace,
    nowMs,
    past: isNew ? (before ?? state.past) : state.past,
    leases: state.leases + (isNew ? 1 : 0),
    from: state,
    by: { nowMs, call },
  }
}
