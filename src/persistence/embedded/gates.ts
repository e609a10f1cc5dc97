// The gates that decide whether work may run now; the twin of lua/lib/gates.lua.
import type { Fact } from '../../machines/facts.ts'
import type { CallContext } from './call-context.ts'
import type { ExecutionFields } from './execution-fields.ts'
import type { Execution } from './record.ts'
import { noFacts } from './transition.ts'

function notDueFact(f: Readonly<ExecutionFields>): Fact {
  if (f.parked !== undefined) return 'notDueParked'
  return f.attempt === undefined ? 'notDueStart' : 'notDueRetry'
}

/** Facts for placing the execution; a time that has come is forgotten here. */
export function gateFacts(call: CallContext, x: Execution): ReadonlySet<Fact> {
  const { f } = x
  const held = f.block_reason !== undefined
  const waits = f.deps !== undefined
  const isFree = !held && !waits && f.parked === undefined && f.not_before === undefined
  if (isFree) return noFacts
  const facts = new Set<Fact>()
  if (held) facts.add('heldByOperator')
  if (waits) facts.add('heldByDependencies')
  if (f.parked !== undefined) facts.add('parked')
  if (f.not_before !== undefined) {
    if (f.not_before > call.nowMs) facts.add(notDueFact(f))
    else if (!held) f.not_before = undefined
  }
  return facts
}
