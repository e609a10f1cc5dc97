// Every scenario, in one list.
import { endingScenarios } from './endings.ts'
import { groupScenarios } from './groups.ts'
import type { Scenario } from './steps.ts'
import { waitingScenarios } from './waiting.ts'

export const scenarios: readonly Scenario[] = [
  ...groupScenarios,
  ...waitingScenarios,
  ...endingScenarios,
]
