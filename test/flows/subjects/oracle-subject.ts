// The oracle as a subject of itself: what plays and scenarios are tried on.
import { Oracle } from '../oracle/oracle.ts'
import type { Rules } from '../oracle/rules.ts'
import type { FlowCall, FlowSubject, Seen } from '../vocabulary.ts'

/** With `passesMax` it leaves work over, as a store does that bounds what one call may do. */
export function oracleSubject(rules?: Rules, passesMax?: number): FlowSubject {
  const oracle = new Oracle(rules, passesMax)
  let last: Seen = 'nothing'
  const call = async (wanted: FlowCall) => {
    last = oracle.call(wanted)
    return last
  }
  return {
    call,
    again: async () => last,
    tick: async () => void oracle.tick(),
    forget: async () => undefined,
    drain: async () => oracle.drain(),
    look: async () => oracle.view(),
    state: async (node) => oracle.world.nodes.get(node)?.state,
  }
}
