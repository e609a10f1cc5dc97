// Every operation by its name: one that is missing here does not compile.
import type { Answer, Arguments, OperationName } from '../../contract.ts'
import type { CallContext } from '../call-context.ts'
import {
  attachBudget,
  budgetTold,
  changeBudget,
  createBudget,
  describeBudget,
  listBudgets,
  noteOfBudget,
  releaseBudget,
  removeBudget,
  reserveBudget,
  resetBudget,
  untoldNews,
} from './budget.ts'
import { claim, findGranted } from './claim.ts'
import { describeEdge, flowOfExecution, listEdges, readInputs } from './edge.ts'
import { followEvents, keepEvents, readEvents } from './feed.ts'
import {
  apply,
  cancelFlow,
  describeFlow,
  drain,
  listFlows,
  listMembers,
  purgeFlow,
  replayFlow,
} from './flow.ts'
import { readKeyring, rotateKeyring, seedKeyring } from './keyring.ts'
import { listLanes, setLaneState } from './lane.ts'
import { checkLease, claimGranted, grant, renew, revoke } from './lease.ts'
import { describeLimit, listLimits, pauseLimit, removeLimit, setLimit } from './limit.ts'
import { acquireSlot, admitHolder, handOutOwed, releaseSlot, settleOwed } from './limit-relay.ts'
import { describe, watch } from './look.ts'
import {
  block,
  cancelByOperator,
  purgeExecution,
  replay,
  reprioritize,
  unblock,
} from './operator.ts'
import { listPartition, openPartition, sweep } from './partition.ts'
import { search } from './search.ts'
import { cancel, complete, delay, fail, progress } from './settle.ts'
import { deliver, listSignals, observeSignals } from './signal.ts'
import { append, read, readSummary, summarize, tail } from './stream.ts'
import { submit } from './submit.ts'
import { resumeExecution, suspend } from './suspend.ts'
import { allow, listSuspended } from './suspended.ts'
import { applyUsage, reportUsage, settleUsage, unsettledUsage, usageTotals } from './usage.ts'
import { waitChildren } from './wait-children.ts'
import { closePending, createWaitpoint, listWaitpoints } from './waitpoint.ts'

type Operation<Name extends OperationName> = (
  call: CallContext,
  args: Arguments<Name>,
) => Answer<Name>

export const operations: { readonly [Name in OperationName]: Operation<Name> } = {
  'edge.describe': describeEdge,
  'edge.list': listEdges,
  'execution.flow': flowOfExecution,
  'execution.inputs': readInputs,
  'execution.wait_children': waitChildren,
  'flow.apply': apply,
  'flow.cancel': cancelFlow,
  'flow.describe': describeFlow,
  'flow.list': listFlows,
  'flow.members': listMembers,
  'flow.purge': purgeFlow,
  'flow.replay': replayFlow,
  'partition.drain': drain,
  'budget.attach': attachBudget,
  'budget.change': changeBudget,
  'budget.create': createBudget,
  'budget.describe': describeBudget,
  'budget.list': listBudgets,
  'budget.note': noteOfBudget,
  'budget.release': releaseBudget,
  'budget.remove': removeBudget,
  'budget.reserve': reserveBudget,
  'budget.reset': resetBudget,
  'budget.told': budgetTold,
  'budget.untold': untoldNews,
  'execution.block': block,
  'execution.cancel': cancel,
  'execution.cancel_by_operator': cancelByOperator,
  'execution.complete': complete,
  'execution.delay': delay,
  'execution.describe': describe,
  'execution.fail': fail,
  'execution.progress': progress,
  'execution.purge': purgeExecution,
  'execution.replay': replay,
  'execution.reprioritize': reprioritize,
  'execution.resume': resumeExecution,
  'execution.submit': submit,
  'execution.suspend': suspend,
  'execution.unblock': unblock,
  'execution.watch': watch,
  'keyring.read': readKeyring,
  'keyring.rotate': rotateKeyring,
  'keyring.seed': seedKeyring,
  'lane.list': listLanes,
  'lane.set_state': setLaneState,
  'lease.check': checkLease,
  'lease.claim': claim,
  'lease.claim_granted': claimGranted,
  'lease.find': findGranted,
  'lease.grant': grant,
  'lease.renew': renew,
  'lease.revoke': revoke,
  'limit.acquire': acquireSlot,
  'limit.admit': admitHolder,
  'limit.describe': describeLimit,
  'limit.list': listLimits,
  'limit.owed': handOutOwed,
  'limit.pause': pauseLimit,
  'limit.release': releaseSlot,
  'limit.remove': removeLimit,
  'limit.set': setLimit,
  'limit.settle': settleOwed,
  'partition.allow': allow,
  'partition.events': readEvents,
  'partition.follow': followEvents,
  'partition.keep_events': keepEvents,
  'partition.list': listPartition,
  'partition.open': openPartition,
  'partition.search': search,
  'partition.suspended': listSuspended,
  'partition.sweep': sweep,
  'signal.deliver': deliver,
  'signal.list': listSignals,
  'signal.observe': observeSignals,
  'usage.apply': applyUsage,
  'usage.report': reportUsage,
  'usage.settle': settleUsage,
  'usage.totals': usageTotals,
  'usage.unsettled': unsettledUsage,
  'waitpoint.close': closePending,
  'waitpoint.create': createWaitpoint,
  'waitpoint.list': listWaitpoints,
  'stream.append': append,
  'stream.read': read,
  'stream.summarize': summarize,
  'stream.summary': readSummary,
  'stream.tail': tail,
}
