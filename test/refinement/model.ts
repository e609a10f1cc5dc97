// The embedded store's operations on a copy of a stored state: the oracle of the refinement.
import type { Answer, Arguments, OperationName } from '../../src/persistence/contract.ts'
import { CallContext } from '../../src/persistence/embedded/call-context.ts'
import { applyDue } from '../../src/persistence/embedded/due.ts'
import { dumpKeyspace } from '../../src/persistence/embedded/dump.ts'
import { Keyspace } from '../../src/persistence/embedded/keyspace.ts'
import { operations } from '../../src/persistence/embedded/operations/table.ts'
import { fieldKinds } from '../../src/persistence/embedded/record.ts'
import { SortedSet } from '../../src/persistence/embedded/sorted-set.ts'
import type { Dump } from '../support/canonical.ts'
import { kid, secret } from './subject.ts'

/** One call of an operation. */
export type Call = {
  readonly [Name in OperationName]: { readonly name: Name; readonly args: Arguments<Name> }
}[OperationName]

function copySet(from: SortedSet, to: SortedSet): void {
  for (const { member, score } of from.all()) to.add(member, score)
}

function copyFeed({ feed: from }: Keyspace, { feed: to }: Keyspace): void {
  to.base = from.base
  to.followed = from.followed
  for (const [base, { bytes }] of from.segments) to.restore('segment', base, bytes)
  for (const [place, bytes] of from.lines) to.restore('line', place, bytes)
}

/** A copy that shares nothing that operations change. */
export function copyKeyspace(from: Keyspace): Keyspace {
  const to = new Keyspace(true)
  for (const [id, stored] of from.executions) {
    const copy = { ...stored }
    for (const kind of fieldKinds) {
      if (stored[kind] !== undefined) copy[kind] = new Map(stored[kind])
    }
    to.executions.set(id, copy)
  }
  for (const name of [
    ...(['keyed', 'keyring', 'lanes', 'config', 'routes', 'exhausted', 'admitting'] as const),
  ]) {
    for (const [key, value] of from[name].entries()) to[name].set(key, value as never)
  }
  for (const [name, set] of Object.entries(from.indexes)) {
    copySet(set, to.indexes[name as keyof Keyspace['indexes']])
  }
  for (const [name, sets] of Object.entries(from.routed)) {
    for (const [route, set] of sets) {
      const [lane = '', capabilities] = route.split('|')
      const fields = { lane, capabilities } as Parameters<Keyspace['index']>[1]
      copySet(set, to.index(name as keyof Keyspace['routed'], fields))
    }
  }
  to.streams.copyFrom(from.streams)
  for (const name of ['budgets', 'holds', 'told', 'usage'] as const) to[name].copyFrom(from[name])
  for (const part of [0, 1] as const) to.ledgers[part].copyFrom(from.ledgers[part])
  for (const name of ['budgetIds', 'budgetTimes', 'unsettled', 'untold'] as const) {
    copySet(from[name], to[name])
  }
  for (const [digest, set] of from.tagged) {
    const index = new SortedSet()
    copySet(set, index)
    to.tagged.set(digest, index)
  }
  copySet(from.listing, to.listing)
  copySet(from.timers, to.timers)
  for (const [lease, id] of from.leases) to.leases.set(lease, id)
  for (const [lane, untilMs] of from.sleepers) to.sleepers.set(lane, untilMs)
  copyFeed(from, to)
  to.changes.take()
  return to
}

/** Without executions; with the key that signs where anything is signed. */
export function emptyKeyspace(isSigned: boolean): Keyspace {
  const keyspace = new Keyspace(true)
  perform(keyspace, 0, { name: 'partition.open', args: { partitions: 1 } })
  if (isSigned) perform(keyspace, 0, { name: 'keyring.seed', args: { kid, secret } })
  keyspace.changes.take()
  return keyspace
}

type Operation = (context: CallContext, args: unknown) => Answer<OperationName>

/** Performs one call at a time, in place, as one batch of its own. */
export function perform(
  keyspace: Keyspace,
  nowMs: number,
  { name, args }: Call,
): Answer<OperationName> {
  const context = new CallContext(keyspace, nowMs * 1000)
  const answer = (operations[name] as Operation)(context, args)
  context.finish()
  return answer
}

/** Lets happen to one execution what is due at a time. */
export function letDueHappen(keyspace: Keyspace, id: string, nowMs: number): void {
  const x = keyspace.load(id)
  if (x !== undefined) applyDue(new CallContext(keyspace, nowMs * 1000), x)
}

export function dumpOf(keyspace: Keyspace): Dump {
  return dumpKeyspace(keyspace)
}
