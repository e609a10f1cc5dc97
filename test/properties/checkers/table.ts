// All checkers, by name.
import { budgetsConserved } from './budgets-conserved.ts'
import { budgetsKeepBack } from './budgets-keep-back.ts'
import { closedStaysClosed } from './closed-stays-closed.ts'
import { conditionTruth } from './condition-truth.ts'
import { exactlyOneIndex } from './exactly-one-index.ts'
import { monotoneEpoch } from './monotone-epoch.ts'
import { neverEarly } from './never-early.ts'
import { oneOpenSuspension } from './one-open-suspension.ts'
import type { Checker } from './performed.ts'
import { refusalChangesNothing } from './refusal-changes-nothing.ts'
import { replayEqualsFirstOutcome } from './replay-equals-first-outcome.ts'
import { ringsInStep } from './rings-in-step.ts'
import { signalsKept } from './signals-kept.ts'
import { singleHolder } from './single-holder.ts'
import { slotsInStep } from './slots-in-step.ts'
import { terminalAbsorbing } from './terminal-absorbing.ts'
import { wakeUpNeverLost } from './wake-up-never-lost.ts'

export const checkers: Readonly<Record<string, Checker>> = {
  singleHolder,
  monotoneEpoch,
  terminalAbsorbing,
  exactlyOneIndex,
  refusalChangesNothing,
  replayEqualsFirstOutcome,
  neverEarly,
  oneOpenSuspension,
  closedStaysClosed,
  signalsKept,
  conditionTruth,
  wakeUpNeverLost,
  slotsInStep,
  ringsInStep,
  budgetsConserved,
  budgetsKeepBack,
}
