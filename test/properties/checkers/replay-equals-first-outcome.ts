// A call that was performed before is answered again as it was the first time, and changes nothing.
import type { OperationName } from '../../../src/persistence/contract.ts'
import { dumpText } from '../../support/canonical.ts'
import { dueTimes } from '../world.ts'
import { written } from '../written.ts'
import type { Performed, Stored } from './performed.ts'

type Answered = Performed['answer']

/** However much later: whoever settled a lease last is told so again. */
export function replayEqualsFirstOutcome(performed: Performed): string | undefined {
  return repeatProblem(performed) ?? settleProblem(performed)
}

/** Operations whose repetition says in other words that it was done before. */
const otherWords: Readonly<Record<string, readonly string[]>> = {
  submitted: ['duplicate'],
  purged: ['absent'],
  accepted: ['duplicate'],
  seeded: ['present'],
  removed: ['absent'],
  // Whoever was queued may be admitted by the very call.
  queued: ['admitted'],
  created: ['exists', 'created'],
  // Where it was the last reclaim that was allowed, losing the lease has ended the execution.
  revoked: ['already_lost', 'execution_not_active'],
  // Where its flow wants its work to end, losing the lease has let the flow end it.
  lease_expired: ['execution_not_active'],
  // And so has looking at a lease that nobody renewed.
  flow_ended: ['execution_not_reclaimable'],
  // Noticing that a grant has lapsed removes it.
  claim_grant_expired: ['invalid_claim_grant'],
}

const wordOf = (answer: Answered): string =>
  answer.outcome === 'refused' ? answer.code : answer.outcome

/** What the answer must be, but for the marks of a repetition. */
function repeated(answer: Answered): object {
  const {
    replayed: _,
    repeated: __,
    untold: ___,
    ...facts
  } = answer as Answered & Record<string, unknown>
  // Which key was replaced, and how many were forgotten, is told to the call that did it.
  if (answer.outcome === 'rotated') return { outcome: 'rotated' }
  // What it added is told to the call that did it; what follows goes on after the answer.
  if ('linked' in answer) return { outcome: answer.outcome, members: answer.members }
  if ('policy' in answer) return { outcome: answer.outcome, policy: answer.policy }
  // What was taken back is told to the call that did it.
  if (answer.outcome === 'released') return { outcome: 'released' }
  // A claim that got nothing is asked anew; a piece of what was due may have moved what comes next.
  if (answer.outcome === 'empty') return { outcome: 'empty' }
  // Where the call found the execution: the second time, where the first one left it.
  return 'from' in facts ? { ...facts, from: undefined } : facts
}

/** Who sleeps on a lane is only a hint: a call may wake them all, and each registers again. */
function withoutSleepers({ dump, text }: Stored): string {
  return dump.has('sleepers')
    ? dumpText(new Map([...dump].filter(([key]) => key !== 'sleepers')))
    : text
}

const partly: ReadonlySet<OperationName> = new Set([
  'partition.sweep',
  'partition.drain',
  'flow.purge',
  'limit.owed',
])

/**
 * Some do a part of the work each time, and so does a claim that asks to come back at once, or that
 * left work of a flow for the next one; a frame without a number is one more frame.
 */
function doesMore({ call: { name, args }, before }: Performed, first: Answered): boolean {
  const leavesSome = name === 'lease.claim' && before.dump.has('backlog')
  const isHalf = leavesSome || (first.outcome === 'empty' && first.next_at === first.now)
  return partly.has(name) || isHalf || ('seq' in args && args.seq === undefined)
}

/** A suspension whose time was over from the start ends with the next call. */
function isOverdue({ call, nowMs, before }: Performed): boolean {
  const fields = 'id' in call.args ? before.records.get(call.args.id) : undefined
  return fields !== undefined && dueTimes(fields).some((at) => at <= nowMs)
}

function repeatProblem(performed: Performed): string | undefined {
  const { call, answer, before, after, earlier, isAgain } = performed
  const first = earlier.at(-1)
  if (!isAgain || first === undefined || doesMore(performed, first.answer)) return undefined
  // A claim does a piece of what is due in its partition each time; its answer stays the same.
  const isFree = call.name === 'lease.claim' || isOverdue(performed)
  if (withoutSleepers(before) !== withoutSleepers(after) && !isFree) {
    return `${call.name} again changed something`
  }
  const [once, twice] = [wordOf(first.answer), wordOf(answer)]
  if (otherWords[once]?.includes(twice)) return undefined
  const [wanted, given] = [written(repeated(first.answer)), written(repeated(answer))]
  return wanted === given ? undefined : `${call.name} answered ${wanted}, then ${given}`
}

const settling: ReadonlySet<OperationName> = new Set([
  'execution.complete',
  'execution.fail',
  'execution.cancel',
  'execution.delay',
  'execution.suspend',
])

/** The fence of a settling call as one text; undefined for other calls. */
function fenceOf({ call: { name, args } }: Performed): string | undefined {
  if (!settling.has(name) || !('epoch' in args && 'id' in args)) return undefined
  return [args.id, args.attempt, args.lease_id, args.epoch].join(' ')
}

function isPerformed({ answer }: Performed): boolean {
  // Who was answered with signals keeps the lease.
  if (answer.outcome === 'satisfied') return false
  return answer.outcome !== 'refused' && !('replayed' in answer && answer.replayed)
}

/** What was performed since the execution is there: an id can be used again after a purge. */
function ofThis(earlier: readonly Performed[], id: string): readonly Performed[] {
  const absentAt = earlier.findLastIndex(({ after }) => !after.records.has(id))
  return earlier.slice(absentAt + 1)
}

const digestOf = ({ call }: Performed) => ('digest' in call.args ? call.args.digest : undefined)

function settleProblem(performed: Performed): string | undefined {
  const fence = fenceOf(performed)
  if (fence === undefined) return undefined
  const first = ofThis(performed.earlier, fence.slice(0, 26)).find(
    (step) => fenceOf(step) === fence && isPerformed(step),
  )
  if (first === undefined) return undefined
  const { call, answer, before } = performed
  if (isPerformed(performed)) return `${call.name} settled a lease twice`
  if (answer.outcome === 'refused' && answer.code === 'invalid_input') return undefined
  const { lease_id, epoch, attempt } = before.records.get(fence.slice(0, 26)) ?? {}
  if (fence.slice(27) !== `${attempt} ${lease_id} ${epoch}`) {
    return answer.outcome === 'refused' ? undefined : `${call.name} of an old lease was accepted`
  }
  const isSame = first.call.name === call.name && digestOf(first) === digestOf(performed)
  if (!isSame) {
    return wordOf(answer) === 'already_settled' ? undefined : `${call.name} ${wordOf(answer)}`
  }
  const wanted = written({ ...first.answer, replayed: true })
  return written(answer) === wanted ? undefined : `${call.name} again: ${written(answer)}`
}
