// Looking at an execution: everything small about it, or how it ended.
import type { Answer, Arguments } from '../../contract.ts'
import { type CallContext, refuse } from '../call-context.ts'
import { fieldTexts } from '../execution-fields.ts'
import { groupOf, groupWords } from '../group.ts'
import type { StoredExecution } from '../record.ts'

/** Without what signals contributed: that may be much. */
function suspensionFields({ wait }: StoredExecution): Record<string, string> {
  const entries = [...(wait ?? [])].filter(([name]) => !name.startsWith('+'))
  return Object.fromEntries(entries.map(([name, value]) => [name, String(value)]))
}

export function describe(
  call: CallContext,
  { id }: Arguments<'execution.describe'>,
): Answer<'execution.describe'> {
  const stored = call.keyspace.executions.get(id)
  if (stored === undefined) return { outcome: 'absent' }
  return {
    outcome: 'found',
    fields: Object.fromEntries(fieldTexts(stored.fields)),
    note: stored.note,
    tags: stored.tags,
    attempts: [...(stored.attempts ?? [])],
    suspension: suspensionFields(stored),
    group: stored.fields.has_up === undefined ? undefined : groupWords(groupOf(call, stored)),
  }
}

/** Asking to be told is not a change of the execution: its time of change stays. */
export function watch(
  { keyspace }: CallContext,
  { id }: Arguments<'execution.watch'>,
): Answer<'execution.watch'> {
  const stored = keyspace.executions.get(id)
  if (stored === undefined) return refuse('execution_not_found')
  const { fields, ending } = stored
  const { state } = fields
  if (fields.ended_at === undefined) {
    if (fields.watched === undefined) keyspace.storeFields(stored, { ...fields, watched: 1 })
    return { outcome: 'pending', state }
  }
  return {
    outcome: 'ended',
    state,
    reason: fields.reason,
    class: fields.class,
    ending: ending === undefined ? undefined : Buffer.from(ending),
  }
}
