// What one step of a sequence did: what was asked, what was answered, what is stored.
import type { Answer, Arguments, OperationName } from '../../src/persistence/contract.ts'
import type { Dump } from '../support/canonical.ts'

/** One call of an operation. */
export type Call = {
  readonly [Name in OperationName]: { readonly name: Name; readonly args: Arguments<Name> }
}[OperationName]

/** What came of a call: an answer, or the code of the error that was thrown instead. */
export type Outcome =
  | { readonly answer: Answer<OperationName>; readonly thrown?: undefined }
  | { readonly thrown: string; readonly answer?: undefined }

/** The small fields of one execution, as texts. */
export type Fields = Readonly<Record<string, string>>

/** Calls that were made in one tick, and the stored state around them. */
export interface Step {
  readonly nowMs: number
  readonly calls: readonly Call[]
  readonly outcomes: readonly Outcome[]
  readonly before: Stored
  readonly after: Stored
  /** Whether this is the step before once more, as after an answer that was lost. */
  readonly isRepeat: boolean
}

/** Says what is wrong with a step, or nothing. It may remember earlier steps of the sequence. */
export type Checker = (step: Step) => string | undefined

/** A dump, read as what it is. */
export class Stored {
  readonly dump: Dump
  readonly executions = new Map<string, Fields>()

  constructor(dump: Dump) {
    this.dump = dump
    for (const [key, entry] of dump) {
      if (key.startsWith('x:') && entry.type === 'hash') {
        this.executions.set(key.slice(2), Object.fromEntries(entry.value))
      }
    }
  }

  /** Members and scores of a sorted set. */
  rows(key: string): ReadonlyMap<string, number> {
    const entry = this.dump.get(key)
    if (entry?.type !== 'zset') return new Map()
    return new Map(entry.value.map(([member, score]) => [member, Number(score)]))
  }

  hash(key: string): Fields {
    const entry = this.dump.get(key)
    return entry?.type === 'hash' ? Object.fromEntries(entry.value) : {}
  }

  /** Everything that is stored about one execution alone, as one text. */
  about(id: string): string {
    const own = ['x', 'in', 'out', 'note', 'tags', 'attempts'].map((kind) => {
      const entry = this.dump.get(`${kind}:${id}`)
      return entry === undefined ? '' : JSON.stringify(entry.value)
    })
    return own.join('\n')
  }
}

export function isEnded(fields: Fields): boolean {
  return fields['ended_at'] !== undefined
}

export function numberOf(fields: Fields, name: string): number | undefined {
  const text = fields[name]
  return text === undefined ? undefined : Number(text)
}

/** Whether the field holds a time that has come. */
export function isDue(fields: Fields, name: string, nowMs: number): boolean {
  const atMs = numberOf(fields, name)
  return atMs !== undefined && atMs <= nowMs
}

/** Whether anything may happen to the execution by itself at that time. */
export function hasDue(fields: Fields, nowMs: number): boolean {
  if (isEnded(fields)) return false
  const held = ['expires_at', 'attempt_deadline_at']
  const names = ['deadline_at', 'not_before', 'grant_until']
  return (fields['state'] === 'leased.held' ? [...names, ...held] : names).some((name) =>
    isDue(fields, name, nowMs),
  )
}

/** The id that a call is about, if it is about one execution. */
export function idOf({ args }: Call): string | undefined {
  return 'id' in args ? args.id : undefined
}

/** Whether the answer is an acceptance that changed something now. */
export function isPerformed({ answer }: Outcome): boolean {
  if (answer === undefined || answer.outcome === 'refused') return false
  const { replayed, repeated } = answer as { replayed?: boolean; repeated?: boolean }
  return replayed !== true && repeated !== true
}
