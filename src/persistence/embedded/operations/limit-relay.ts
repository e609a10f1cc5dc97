// Slots that executions of other partitions ask for and give back; an embedded store has no others.
import { invariant } from '../../../errors.ts'
import { counts, priorityStepMs } from '../../../limits.ts'
import type { Answer, Arguments } from '../../contract.ts'
import type { OwedRow } from '../../generated/operations.ts'
import type { CallContext } from '../call-context.ts'
import { definitionOf, roomAt } from '../limit.ts'
import {
  checkHolder,
  checkRow,
  enterSlot,
  freeSlot,
  isWaitedFor,
  stopWaiting,
  wait,
} from '../slots.ts'

function bucketNamed({ limit, key }: { limit: string; key: string | undefined }): string {
  return key === undefined ? limit : `${limit}|${key}`
}

export function acquireSlot(
  call: CallContext,
  args: Arguments<'limit.acquire'>,
): Answer<'limit.acquire'> {
  const { limits } = call.keyspace
  const bucket = bucketNamed(args)
  const holder = `${args.partition}:${args.id}:${args.ticket}`
  const definition = definitionOf(call, args.limit)
  const isHeld = limits.slots.get(bucket)?.score(holder) !== undefined
  if (definition === undefined || isHeld) return { outcome: 'admitted' }
  if (!isWaitedFor(limits, bucket) && roomAt(call, bucket, definition) === undefined) {
    enterSlot(call, bucket, holder, definition)
    // Whoever asked tells the execution; should that fail, the check does.
    checkHolder(call, bucket, holder, call.nowMs + counts.owedAgainMs)
    return { outcome: 'admitted' }
  }
  const score = args.created_at - args.priority * priorityStepMs
  wait(limits, bucket, args.share, holder, score)
  call.reconsider(bucket)
  return { outcome: 'queued' }
}

export function releaseSlot(
  call: CallContext,
  args: Arguments<'limit.release'>,
): Answer<'limit.release'> {
  const { limits } = call.keyspace
  const bucket = bucketNamed(args)
  const request = `${args.id}:${args.ticket}`
  const holder = `${args.partition}:${request}`
  stopWaiting(limits, bucket, args.share, holder)
  freeSlot(call, bucket, holder, !args.began)
  limits.owed.remove(checkRow(args.partition, bucket, request))
  return { outcome: 'released' }
}

/** No execution here ever asked another partition. */
export function admitHolder(): Answer<'limit.admit'> {
  return { outcome: 'unneeded' }
}

function readRow(row: string): OwedRow | undefined {
  const words = /^([a-z]+) (\d+) (\S+) (\S+) ([^:]+):(\d+)$/.exec(row)
  const [, kind, partition, bucket, mark, id, ticket] = words ?? []
  if (kind === undefined || bucket === undefined || id === undefined) return undefined
  const [limit = '', key] = bucket.split('|')
  return {
    row,
    kind,
    partition: Number(partition),
    limit,
    key,
    share: mark === '-' ? undefined : mark?.slice(1),
    id,
    ticket: Number(ticket),
    created_at: 0,
    priority: 0,
  }
}

export function handOutOwed(
  { keyspace: { limits }, nowMs }: CallContext,
  { count }: Arguments<'limit.owed'>,
): Answer<'limit.owed'> {
  const found = limits.owed.upTo(nowMs, count)
  const owed = found.flatMap(({ member }) => {
    limits.owed.add(member, nowMs + counts.owedAgainMs)
    return readRow(member) ?? []
  })
  return { outcome: 'handed', owed, more: found.length === count }
}

export function settleOwed(
  { keyspace: { limits }, nowMs }: CallContext,
  { row }: Arguments<'limit.settle'>,
): Answer<'limit.settle'> {
  const read = readRow(row)
  invariant(read !== undefined, `${row} is no row of what is owed`)
  const { kind, partition, id, ticket } = read
  const slots = limits.slots.get(bucketNamed(read))
  const isHeld = slots?.score(`${partition}:${id}:${ticket}`) !== undefined
  if (kind !== 'check' || !isHeld) limits.owed.remove(row)
  else if (limits.owed.score(row) !== undefined) {
    limits.owed.add(row, nowMs + counts.slotCheckMs)
  }
  return { outcome: 'settled' }
}
