// Nothing that waits for a time happens before it.
import { defaults } from '../../../src/limits.ts'
import { hashOf, suspensionOf } from '../waiting.ts'
import type { Fields } from '../world.ts'
import { hasCome, type Performed, pairs } from './performed.ts'

export function neverEarly(performed: Performed): string | undefined {
  for (const [id, before, after] of pairs(performed)) {
    const why =
      after === undefined
        ? purgedEarly(performed, before)
        : (begunEarly(performed, before, after) ??
          lostEarly(performed, before, after) ??
          lapsedEarly(performed, id, before))
    if (why !== undefined) return `${id} ${why}`
  }
  return undefined
}

function begunEarly({ nowMs }: Performed, before: Fields, after: Fields): string | undefined {
  const [from = '', to = ''] = [before.state, after.state]
  const isWaiting = from.startsWith('delayed.') || from === 'runnable.blocked'
  if (!isWaiting || !/^runnable\.re|^leased/.test(to)) return undefined
  const isEarly = before.not_before !== undefined && !hasCome(before, 'not_before', nowMs)
  return isEarly ? 'may run before its time' : undefined
}

function lostEarly({ call, nowMs }: Performed, before: Fields, after: Fields): string | undefined {
  const has = (name: keyof Fields) => hasCome(before, name, nowMs)
  const hasEnded = before.ended_at === undefined && after.ended_at !== undefined
  if (hasEnded && after.reason === 'deadline' && !has('deadline_at')) return 'expired early'
  if (before.state === 'leased.held') {
    if (after.state === 'leased.expired' && !has('expires_at')) return 'lost its lease early'
    const isRetry = after.state === 'delayed.retry' && call.name !== 'execution.fail'
    const isTimeout = isRetry || (hasEnded && after.reason === 'attempt_timeout')
    if (isTimeout && !has('attempt_deadline_at')) return 'timed out early'
  }
  const isGrantGone = before.grant_id !== undefined && after.grant_id === undefined
  const isOver = after.ended_at !== undefined || after.state === 'leased.held'
  return isGrantGone && !isOver && !has('grant_until') ? 'lost its grant early' : undefined
}

/** A suspension that ran out of time, or was handed to an operator. */
function lapsedEarly({ before, after, nowMs }: Performed, id: string, fields: Fields) {
  if (before.text === after.text) return undefined
  const [was, is] = [suspensionOf(before.dump, id), suspensionOf(after.dump, id)]
  if (was?.isOpen !== true) return undefined
  const hasLapsed = is?.f.get('closed')?.startsWith('timed_out') === true
  const hasEscalated = is?.f.has('escalated_at') === true && !was.f.has('escalated_at')
  const isDue = hasCome(fields, 'wait_until', nowMs)
  return (hasLapsed || hasEscalated) && !isDue ? 'ran out of time early' : undefined
}

function purgedEarly(
  { call, nowMs, before: stored }: Performed,
  before: Fields,
): string | undefined {
  if (call.name !== 'partition.sweep') return undefined
  if (before.flow !== undefined) {
    const flow = hashOf(stored.dump, `flow:${before.flow}`)
    // One sweep may end the last member and forget a flow that need not be kept.
    const purgeAt = flow.get('purge_at') ?? nowMs + Number(flow.get('retention_ms') ?? 1)
    return Number(purgeAt) <= nowMs ? undefined : 'went before its flow'
  }
  const { ended_at = nowMs, retention_ms = defaults.retentionMs } = before
  const isOver = Number(ended_at) + Number(retention_ms) <= nowMs
  return isOver ? undefined : 'was purged before its retention was over'
}
