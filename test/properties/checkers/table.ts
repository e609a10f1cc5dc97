// All checkers, by name.
import { exactlyOneIndex } from './exactly-one-index.ts'
import { monotoneEpoch } from './monotone-epoch.ts'
import { neverEarly } from './never-early.ts'
import type { Checker } from './performed.ts'
import { refusalChangesNothing } from './refusal-changes-nothing.ts'
import { replayEqualsFirstOutcome } from './replay-equals-first-outcome.ts'
import { singleHolder } from './single-holder.ts'
import { terminalAbsorbing } from './terminal-absorbing.ts'

export const checkers: Readonly<Record<string, Checker>> = {
  singleHolder,
  monotoneEpoch,
  terminalAbsorbing,
  exactlyOneIndex,
  refusalChangesNothing,
  replayEqualsFirstOutcome,
  neverEarly,
}
