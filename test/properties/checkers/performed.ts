// What checkers look at: one call, its answer, and everything stored before and after it.
import type { Answer, OperationName } from '../../../src/persistence/contract.ts'
import type { Dump } from '../../support/canonical.ts'
import type { Call, Fields, Records } from '../world.ts'

export interface Stored {
  readonly dump: Dump
  /** The dump as one text: equal texts mean equal contents. */
  readonly text: string
  readonly records: Records
}

export interface Performed {
  readonly nowMs: number
  readonly call: Call
  readonly answer: Answer<OperationName>
  readonly before: Stored
  readonly after: Stored
  /** Everything that was performed before, the oldest first. */
  readonly earlier: readonly Performed[]
  /** Whether this is the last of them once more, as after a lost reply. */
  readonly isAgain: boolean
}

/** What is wrong with a call; undefined when nothing is. */
export type Checker = (performed: Performed) => string | undefined

/** Each execution that was there before, with its fields now if it still is there. */
export function* pairs({ before, after }: Performed): Generator<[string, Fields, Fields?]> {
  for (const [id, fields] of before.records) {
    const now = after.records.get(id)
    yield now === undefined ? [id, fields] : [id, fields, now]
  }
}

/** Whether a time of a record has come. */
export function hasCome(fields: Fields, name: keyof Fields, nowMs: number): boolean {
  return fields[name] !== undefined && Number(fields[name]) <= nowMs
}
