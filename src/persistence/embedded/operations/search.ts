// Finding executions by what is stored of them; the twin of lua/ops/partition/search.lua.
import { invariant } from '../../../errors.ts'
import type { Answer, Arguments } from '../../contract.ts'
import type { FoundRow } from '../../generated/operations.ts'
import type { CallContext } from '../call-context.ts'
import type { ExecutionFields } from '../execution-fields.ts'
import type { StoredExecution } from '../record.ts'
import { isNamed } from '../tags.ts'

type Search = Arguments<'partition.search'>

/** The flow that an execution belongs to, if it belongs to one. */
function flowOf(fields: Readonly<ExecutionFields> & { readonly flow?: string | undefined }) {
  return fields.flow
}

function fits({ fields, tagged }: StoredExecution, args: Search): boolean {
  const { states, lane, task, created_from: from, created_to: to, flow, named } = args
  return !(
    (states !== undefined && !states.split(',').includes(fields.state)) ||
    (lane !== undefined && fields.lane !== lane) ||
    (task !== undefined && fields.task !== task) ||
    (from !== undefined && fields.created_at < from) ||
    (to !== undefined && fields.created_at >= to) ||
    (flow !== undefined && flowOf(fields) !== flow) ||
    (named !== undefined && !isNamed(tagged, named))
  )
}

const textOf = (value: number | undefined) => (value === undefined ? undefined : String(value))

function foundRow({ id, fields }: StoredExecution): FoundRow {
  return {
    id,
    state: fields.state,
    lane: fields.lane,
    task: fields.task,
    created_at: String(fields.created_at),
    updated_at: String(fields.updated_at),
    ended_at: textOf(fields.ended_at),
    attempt: textOf(fields.attempt),
    reason: fields.reason,
    flow: flowOf(fields),
    // Records that are not as they were written are refused when a directory is opened.
    damage: undefined,
  }
}

export function search({ keyspace }: CallContext, args: Search): Answer<'partition.search'> {
  const listing = args.tag === undefined ? keyspace.listing : keyspace.tagged.get(args.tag)
  const { ids, more } = listing?.page(args.after, args.look) ?? { ids: [], more: false }
  const executions: FoundRow[] = []
  let looked = 0
  while (looked < ids.length && executions.length < args.count) {
    const stored = keyspace.executions.get(ids[looked] as string)
    invariant(stored !== undefined, `${ids[looked]} is listed and not stored`)
    looked += 1
    if (fits(stored, args)) executions.push(foundRow(stored))
  }
  const next = more || looked < ids.length ? ids[looked - 1] : undefined
  return { outcome: 'searched', executions, looked, next }
}
