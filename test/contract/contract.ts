// The contract of every backend: one suite per concern.
import { describe } from 'vitest'
import { type FlavourName, useBackend } from '../support/backends.ts'
import { describeBudgetLimits } from './budget-limits.ts'
import { describeBudgets } from './budgets.ts'
import { describeBytes } from './bytes.ts'
import { describeChildren } from './children.ts'
import { describeClaim } from './claim.ts'
import { describeDeadlines } from './deadlines.ts'
import { describeDelay } from './delay.ts'
import { describeEarlySignals } from './early-signals.ts'
import { describeExplanations } from './explanations.ts'
import { describeFeed } from './feed.ts'
import { describeFeedTrimming } from './feed-trimming.ts'
import { describeFence } from './fence.ts'
import { describeFlowCancel } from './flow-cancel.ts'
import { describeFlowReads } from './flow-reads.ts'
import { describeFlowReplay } from './flow-replay.ts'
import { describeFlows } from './flows.ts'
import { describeGrants } from './grants.ts'
import { describeIdempotency } from './idempotency.ts'
import { describeJoins } from './joins.ts'
import { describeLanes } from './lanes.ts'
import { describeLeases } from './leases.ts'
import { describeLedgers } from './ledgers.ts'
import { describeLimitChanges } from './limit-changes.ts'
import { describeLimitRelay } from './limit-relay.ts'
import { describeLimits } from './limits.ts'
import { describeLosses } from './losses.ts'
import { describeMatching } from './matching.ts'
import { describeOffered } from './offered.ts'
import { describeOperator } from './operator.ts'
import { describeOperatorResume } from './operator-resume.ts'
import { describePartitions } from './partitions.ts'
import { describeRaces } from './races.ts'
import { describeReads } from './reads.ts'
import { describeRepetition } from './repetition.ts'
import { describeReservations } from './reservations.ts'
import { describeResume } from './resume.ts'
import { describeResumeConditions } from './resume-conditions.ts'
import { describeRetention } from './retention.ts'
import { describeRetry } from './retry.ts'
import { describeSearch } from './search.ts'
import { describeSettleReplay } from './settle-replay.ts'
import { describeSignalFaults } from './signal-faults.ts'
import { describeSignalLimits } from './signal-limits.ts'
import { describeSignalRaces } from './signal-races.ts'
import { describeSignals } from './signals.ts'
import { describeStreamEnds } from './stream-ends.ts'
import { describeStreams } from './streams.ts'
import { describeSubmit } from './submit.ts'
import { describeSummaries } from './summaries.ts'
import { describeSuspend } from './suspend.ts'
import { describeSuspendRefusals } from './suspend-refusals.ts'
import { describeSuspendedList } from './suspended-list.ts'
import { describeSuspensionTimeouts } from './suspension-timeouts.ts'
import { describeTails } from './tails.ts'
import { describeTokens } from './tokens.ts'
import { describeTurns } from './turns.ts'
import { describeUsage } from './usage.ts'
import { describeUsageRelay } from './usage-relay.ts'
import { describeValidation } from './validation.ts'
import { describeWaiting } from './waiting.ts'
import { describeWaitpoints } from './waitpoints.ts'

/** Holds one flavour of backend to the whole contract. */
export function describeContract(flavour: FlavourName): void {
  describe(flavour, () => {
    const open = useBackend(flavour)
    describeSubmit(open)
    describeIdempotency(open)
    describeClaim(open)
    describeWaiting(open)
    describeFence(open)
    describeSettleReplay(open)
    describeRetry(open)
    describeDelay(open)
    describeLeases(open)
    describeGrants(open)
    describeLosses(open)
    describeOperator(open)
    describeLanes(open)
    describeLimits(open)
    describeLimitChanges(open)
    describeTurns(open)
    describeReads(open)
    describeSearch(open)
    describeRetention(open)
    describeMatching(open)
    describeDeadlines(open)
    describeBytes(open)
    describeStreams(open)
    describeStreamEnds(open)
    describeTails(open)
    describeSummaries(open)
    describeRaces(open)
    describeRepetition(open)
    describeValidation(open)
    describeOffered(open)
    describeFeed(open)
    describeFeedTrimming(open)
    describeFlows(open)
    describeExplanations(open)
    describeJoins(open)
    describeFlowReplay(open)
    describeFlowReads(open)
    describeFlowCancel(open)
    describeChildren(open)
    describeSuspend(open)
    describeSuspendRefusals(open)
    describeWaitpoints(open)
    describeEarlySignals(open)
    describeSignals(open)
    describeSignalLimits(open)
    describeResumeConditions(open)
    describeSuspensionTimeouts(open)
    describeResume(open)
    describeOperatorResume(open)
    describeTokens(open)
    describeSuspendedList(open)
    describeSignalRaces(open)
    describeSignalFaults(open)
    describeBudgets(open)
    describeUsage(open)
    describeReservations(open)
    describeBudgetLimits(open)
    describeLedgers(open)
    // An embedded backend is one partition.
    if (!flavour.startsWith('embedded')) {
      describePartitions(open)
      describeLimitRelay(open)
      describeUsageRelay(open)
    }
  })
}
