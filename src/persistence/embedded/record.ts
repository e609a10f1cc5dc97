// Executions as they are stored, and as the copy that one operation works on.
import type { ExecutionEventName } from '../../machines/execution.ts'
import type { EventSource } from '../../machines/sources.ts'
import { absentFields, type ExecutionFields } from './execution-fields.ts'

/** All that is stored about one execution; only the keyspace changes it. */
export interface StoredExecution {
  readonly id: string
  fields: Readonly<ExecutionFields>
  readonly input: Uint8Array
  readonly tags: string | undefined
  /** For each tag the digest of its name, and that of name and value. */
  readonly tagged: string | undefined
  /** The result, the latest failure, or why it was cancelled. */
  ending: Uint8Array | undefined
  note: string | undefined
  /** How earlier attempts ended. */
  attempts: readonly string[] | undefined
  /** Fields of the latest suspension, every waitpoint, every accepted signal. */
  wait?: FieldMap | undefined
  points?: FieldMap | undefined
  signals?: FieldMap | undefined
  /** Inbound edges and what they decide, and where edges come from and lead to, in order. */
  group?: FieldMap | undefined
  up?: string[] | undefined
  down?: string[] | undefined
}

/** A record with fields of its own, each kept apart; bytes stay bytes. */
export type FieldMap = Map<string, string | Uint8Array>

/** The kinds of records that have fields. */
export type FieldKind = 'wait' | 'points' | 'signals' | 'group'

export const fieldKinds: readonly FieldKind[] = ['wait', 'points', 'signals', 'group']

/**
 * An execution in the hands of an operation. Whatever throws before the commit leaves the stored
 * fields as they were. After a commit `f` belongs to the store: load again before changing more.
 */
export class Execution {
  readonly id: string
  readonly f: ExecutionFields
  readonly stored: StoredExecution
  /** The fields as they were stored; those of nothing for a new execution. */
  readonly before: Readonly<ExecutionFields>
  /** The event that moved it since the last commit, for the feed. */
  event: ExecutionEventName | undefined
  /** Who made that event happen, where it is not who usually does. */
  by: EventSource | undefined

  constructor(stored: StoredExecution) {
    this.id = stored.id
    this.f = { ...stored.fields }
    this.stored = stored
    this.before = stored.fields
  }
}

/** An execution that is stored once it is committed. */
export function newExecution(
  given: Pick<StoredExecution, 'id' | 'input' | 'tags' | 'tagged'>,
): Execution {
  return new Execution({
    ...given,
    fields: absentFields,
    ending: undefined,
    note: undefined,
    attempts: undefined,
  })
}
