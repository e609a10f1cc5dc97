// Limits so low that random sequences reach them, for both stores of a test file at once.
import type { Bundle } from '../../scripts/bundle-lua.ts'
import { counts } from '../../src/limits.ts'
import { edited, moduleText, observingLibrary } from '../support/observing-library.ts'

/** Name here → name in Lua, and the low limit. */
const lowered = {
  waitpointsPerExecutionMax: ['waitpoints_per_execution', 12],
  bufferedSignalsMax: ['buffered_signals', 4],
  conditionSignalsMax: ['condition_signals', 5],
  flowMembersMax: ['flow_members', 14],
  graphChunk: ['graph_chunk', 3],
  workPerCall: ['work_per_call', 4],
  budgetDimensionsMax: ['budget_dimensions', 5],
  reservationsMax: ['reservations_max', 3],
  stoppedPerCall: ['stopped_per_call', 2],
  admittedPerCall: ['admitted_per_call', 1],
  usageLogMax: ['usage_log_max', 6],
  unsettledUsageMax: ['unsettled_usage_max', 4],
  ledgerKeepMs: ['ledger_keep_ms', 120_000],
} as const

function limitsText(): string {
  let text = moduleText('generated.limits')
  for (const [name, [luaName, limit]] of Object.entries(lowered)) {
    const real = realLimits.get(name)
    text = edited(text, `${luaName} = ${real},`, `${luaName} = ${limit},`)
  }
  return text
}

const realLimits = new Map<string, number>(Object.entries(counts))

/** The library with low limits, and the same ones for the rest of this process. */
export function smallLibrary(replace: Readonly<Record<string, string>> = {}): Bundle {
  for (const [name, [, limit]] of Object.entries(lowered)) {
    ;(counts as Record<string, number>)[name] = limit
  }
  return observingLibrary({ ...replace, 'generated.limits': limitsText() })
}
