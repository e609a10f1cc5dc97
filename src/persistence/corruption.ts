// Stored records that do not parse: told by key and field, and never guessed at.
import { EngineError, isEngineError } from '../errors.ts'
import { type ExecutionId, parseExecutionId } from '../ids.ts'

/** A row that a list could not show. */
export interface CorruptRow {
  /** What the row is about. */
  readonly id: string
  /** The record's key, the field, and what is wrong with it. */
  readonly detail: string
}

/** Throws `corruption`: the record under a key of the execution's partition is damaged. */
export function corruptKey(key: string, field: string, why: string, cause?: unknown): never {
  throw new EngineError('corruption', `${key}: ${field}: ${why}`, {
    details: { key, field, why },
    cause,
  })
}

/** Throws `corruption`: one of an execution's own records is damaged; `kind` is `x`, `tags`… */
export function corrupt(id: ExecutionId, kind: string, field: string, why: string): never {
  const key = `${kind}:${parseExecutionId(id).local}`
  throw new EngineError('corruption', `execution ${id}: ${key}: ${field}: ${why}`, {
    details: { executionId: id, key, field, why },
  })
}

/** Typed access to the fields of one of an execution's records. */
export function fieldReader(
  id: ExecutionId,
  kind: string,
  fields: Readonly<Record<string, string | undefined>>,
) {
  const refuse = (name: string, why: string): never => corrupt(id, kind, name, why)
  const optionalNumber = (name: string): number | undefined => {
    const text = fields[name]
    return text === undefined ? undefined : (wholeNumber(text) ?? refuse(name, 'no whole number'))
  }
  const optionalText = (name: string): string | undefined =>
    fields[name] === '' ? refuse(name, 'empty') : fields[name]
  return {
    refuse,
    optionalNumber,
    optionalText,
    number: (name: string) => optionalNumber(name) ?? refuse(name, 'missing'),
    text: (name: string) => optionalText(name) ?? refuse(name, 'missing'),
    /** One of the given words. */
    oneOf: <Word extends string>(name: string, words: readonly Word[]): Word => {
      const word = optionalText(name) ?? refuse(name, 'missing')
      return words.find((known) => known === word) ?? refuse(name, `unknown: ${word}`)
    },
  }
}

/** The number, or undefined when the text is none that was ever stored. */
export function wholeNumber(text: string): number | undefined {
  const value = /^(?:0|[1-9]\d*)$/.test(text) ? Number(text) : Number.NaN
  return Number.isSafeInteger(value) ? value : undefined
}

/** Reads every row; those that are damaged are told beside the good ones. */
export function readRows<Row, Item>(
  rows: readonly Row[],
  idOf: (row: Row) => string,
  read: (row: Row) => Item,
): { readonly items: Item[]; readonly corrupt: CorruptRow[] } {
  const items: Item[] = []
  const found: CorruptRow[] = []
  for (const row of rows) {
    try {
      items.push(read(row))
    } catch (error) {
      if (!isEngineError(error, 'corruption')) throw error
      const { key, field, why } = error.details
      found.push({ id: idOf(row), detail: `${key}: ${field}: ${why}` })
    }
  }
  return { items, corrupt: found }
}
