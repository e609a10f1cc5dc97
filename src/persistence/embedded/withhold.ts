// Keeping claimable work back and letting it go again; the twin of lua/lib/withhold.lua.
import type { EventSource } from '../../machines/sources.ts'
import type { CallContext } from './call-context.ts'
import { gateFacts } from './gates.ts'
import type { Execution } from './record.ts'
import { applyEvent, commit } from './transition.ts'

/** Who has no room for work that is ready, and will let it go. */
export type Withholder = Extract<EventSource, 'limit' | 'flow' | 'budget'>

/** Keeps claimable work back. */
export function withhold(call: CallContext, x: Execution, reason: Withholder): void {
  applyEvent(x, 'withhold')
  x.f.withheld = reason
  x.by = reason
  commit(call, x)
}

/** Lets withheld work go, to where its other gates place it. */
export function admit(call: CallContext, x: Execution): void {
  x.by = x.f.withheld as Withholder
  x.f.withheld = undefined
  applyEvent(x, 'admit', gateFacts(call, x))
  commit(call, x)
}
