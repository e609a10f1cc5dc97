// Which rows of the lifecycle the exploration has been through: leaf, event, and where it led.
import type { ExecutionEventName } from '../../src/machines/execution.ts'
import { leafOf } from '../../src/machines/table.ts'
import type { Answer, OperationName } from '../../src/persistence/contract.ts'
import { operationPlans } from '../../src/persistence/generated/operations.ts'

/** Where an execution was once everything due had happened, before the operation itself. */
interface AfterDue {
  readonly leaf: string
  readonly reason: string | undefined
  /** Whether a suspension was handed to an operator: the leaf stays the same. */
  readonly hasEscalated: boolean
}

export class Coverage {
  readonly leaves = new Set<string>()
  /** `leaf event → leaf` of every transition. */
  readonly transitions = new Set<string>()
  /** `operation outcome`, where a refusal is its code. */
  readonly outcomes = new Set<string>()
  /** `leaf operation outcome`. */
  readonly rows = new Set<string>()
  edges = 0

  visit(leaf: string): void {
    this.leaves.add(leaf)
  }

  add(
    before: string,
    afterDue: AfterDue,
    name: OperationName,
    answer: Answer<OperationName>,
    after: string,
  ): void {
    this.edges += 1
    const outcome = answer.outcome === 'refused' ? answer.code : answer.outcome
    this.outcomes.add(`${name} ${outcome}`)
    this.rows.add(`${before} ${name} ${outcome}`)
    if (isPerformed(name, answer)) this.addPerformed(before, afterDue, name, after)
    else if (afterDue.hasEscalated && after === before) {
      this.transitions.add(`${before} lapse → ${after}`)
    } else if (after !== before && name !== 'execution.purge' && after !== 'absent') {
      this.transitions.add(`${before} ${dueEvent(before, afterDue)} → ${afterDue.leaf}`)
    }
  }

  /** The operation's own event, after what was due if it is known nowhere else. */
  private addPerformed(
    before: string,
    afterDue: AfterDue,
    name: OperationName,
    after: string,
  ): void {
    const event = operationPlans[name].events[0] as ExecutionEventName
    const leads = (from: string) => leafOf(from)?.on[event]?.some(({ target }) => target === after)
    if (leads(before)) this.transitions.add(`${before} ${event} → ${after}`)
    else if (leads(afterDue.leaf)) {
      this.transitions.add(`${before} ${dueEvent(before, afterDue)} → ${afterDue.leaf}`)
      this.transitions.add(`${afterDue.leaf} ${event} → ${after}`)
    } else throw new Error(`the lifecycle does not lead from ${before} by ${event} to ${after}`)
  }
}

/** The event that what is due amounts to. */
function dueEvent(before: string, { leaf, reason }: AfterDue): string {
  if (before === 'suspended') return reason === 'deadline' ? 'expire' : 'lapse'
  if (leaf.startsWith('runnable.')) return 'promote'
  if (leaf === 'leased.expired' || reason === 'max_reclaims_exceeded') return 'loseLease'
  if (leaf === 'delayed.retry' || reason === 'attempt_timeout') return 'timeOut'
  if (leaf === 'terminal.expired') return 'expire'
  throw new Error(`nothing that is due leads from ${before} to ${leaf}`)
}

/** Whether the operation's own event happened now, and not in an earlier call. */
function isPerformed(name: OperationName, answer: Answer<OperationName>): boolean {
  if (answer.outcome === 'refused' || name === 'partition.sweep') return false
  if (['duplicate', 'already_lost', 'empty', 'satisfied'].includes(answer.outcome)) return false
  if ('effect' in answer) return answer.effect === 'resume_condition_satisfied'
  const { replayed, repeated } = answer as { replayed?: boolean; repeated?: boolean }
  return replayed !== true && repeated !== true && operationPlans[name].events.length > 0
}
