// The canonical text of a dump and of an answer: what keyspace.lua writes, from the model's side.
import { createHash } from 'node:crypto'
import type { Answer, FieldPlan, OperationName } from '../../src/persistence/contract.ts'
import type { DumpedValue } from '../../src/persistence/embedded/dump.ts'
import { operationPlans, rowPlans } from '../../src/persistence/generated/operations.ts'

/** Everything stored: key → value, sorted by key. */
export type Dump = ReadonlyMap<string, DumpedValue>

// biome-ignore lint/suspicious/noControlCharactersInRegex: everything beyond ASCII is looked for
const ascii = /^[\u0000-\u007f]*$/

/** Text as one character per byte of its UTF-8 form. */
function binary(text: string): string {
  return ascii.test(text) ? text : Buffer.from(text).toString('latin1')
}

function sized(bytes: string): string {
  return `${bytes.length}:${bytes}`
}

const put = (text: string | Uint8Array): string =>
  sized(typeof text === 'string' ? binary(text) : Buffer.from(text).toString('latin1'))

function contents({ type, value }: DumpedValue): string {
  switch (type) {
    case 'string':
      return `1,${sized(Buffer.from(value, 'hex').toString('latin1'))}`
    case 'hash':
    case 'zset': {
      let text = `${value.length * 2},`
      for (const [name, other] of value) text += put(name) + put(other)
      return text
    }
    default:
      return `${value.length},${value.map(put).join('')}`
  }
}

/** One text, a character per byte; equal texts mean equal contents. */
export function dumpText(dump: Dump): string {
  let text = ''
  for (const [key, value] of dump) text += put(key) + put(value.type) + contents(value)
  return text
}

/** The dump that a text was written from; bytes that are no text stay bytes. */
export function parseDump(binaryText: string): Dump {
  let at = 0
  const until = (mark: string): number => {
    const end = binaryText.indexOf(mark, at)
    const number = Number(binaryText.slice(at, end))
    at = end + 1
    return number
  }
  const next = (): Buffer => {
    const length = until(':')
    at += length
    return Buffer.from(binaryText.slice(at - length, at), 'latin1')
  }
  const dump = new Map<string, DumpedValue>()
  while (at < binaryText.length) {
    const [key, type] = [next().toString(), next().toString()]
    const parts = Array.from({ length: until(',') }, next)
    dump.set(key, dumpedValue(type as DumpedValue['type'], parts))
  }
  return dump
}

function dumpedValue(type: DumpedValue['type'], parts: readonly Buffer[]): DumpedValue {
  const texts = parts.map((part) => part.toString())
  const pairs = texts.flatMap((name, at) => (at % 2 === 0 ? [[name, at + 1] as const] : []))
  switch (type) {
    case 'string':
      return { type, value: Buffer.concat(parts).toString('hex') }
    case 'hash':
      return { type, value: pairs.map(([name, at]) => [name, textOrBytes(parts[at] as Buffer)]) }
    case 'zset':
      return { type, value: pairs.map(([member, at]) => [member, texts[at] as string]) }
    default:
      return { type, value: texts }
  }
}

function textOrBytes(bytes: Buffer): string | Buffer {
  const text = bytes.toString()
  return Buffer.from(text).equals(bytes) ? text : bytes
}

export function sha1(binaryText: string): string {
  return createHash('sha1').update(binaryText, 'latin1').digest('hex')
}

/** Key, type, number of texts and texts of everything: what `load` in keyspace.lua reads. */
export function dumpArguments(dump: Dump): (string | Buffer)[] {
  const args: (string | Buffer)[] = []
  for (const [key, value] of dump) {
    const texts = textsOf(value)
    args.push(key, value.type, String(texts.length), ...texts)
  }
  return args
}

function textsOf({ type, value }: DumpedValue): readonly (string | Buffer)[] {
  if (type === 'string') return [Buffer.from(value, 'hex')]
  if (type === 'hash' || type === 'list') {
    return value.flat().map((part) => (typeof part === 'string' ? part : Buffer.from(part)))
  }
  // A row is written score first.
  if (type === 'zset') return value.flatMap(([member, score]) => [score, member])
  return value
}

/** The text of an answer as the library would send it. Answers with maps have no one order. */
export function answerText(name: OperationName, answer: Answer<OperationName>): string {
  if (answer.outcome === 'refused') {
    const details = Object.entries(answer.details).sort(([a], [b]) => (a < b ? -1 : 1))
    const texts = ['refused', answer.code, ...details.flat()]
    return `*${texts.length},${texts.map(put).join('')}`
  }
  const declared = operationPlans[name].returns[answer.outcome] ?? []
  const values = answer as unknown as Readonly<Record<string, unknown>>
  if (isShort(declared)) return put([answer.outcome, ...words(declared, values, '-')].join(' '))
  const fields = writeFields(declared, values)
  return `*${declared.length + 1},${put(answer.outcome)}${fields}`
}

/** Whether an answer with these fields travels as one text. */
export function isShort(declared: readonly FieldPlan[]): boolean {
  return declared.every(({ type }) => type === 'flag' || type === 'int')
}

/** Values as words of one text. Bytes only say whether they are there; they follow it. */
export function words(
  declared: readonly FieldPlan[],
  values: Readonly<Record<string, unknown>>,
  absent: string,
): string[] {
  return declared.map(({ name, type }) => {
    const value = values[name]
    if (type === 'bytes') return value === undefined ? '0' : '1'
    if (type === 'flag') return value === true ? '1' : '0'
    return value === undefined ? absent : String(value)
  })
}

function writeClaimed(
  row: readonly FieldPlan[],
  items: readonly Record<string, unknown>[],
): string {
  const lines = items.flatMap((item) => words(row, item, '')).join('\n')
  const inputs = items.map(({ input }) => input).filter((input) => input instanceof Uint8Array)
  return `*${1 + inputs.length},${[lines, ...inputs].map(put).join('')}`
}

function writeFields(
  declared: readonly FieldPlan[],
  values: Readonly<Record<string, unknown>>,
): string {
  return declared.map(({ name, type }) => writeField(type, values[name])).join('')
}

function writeField(type: string, value: unknown): string {
  if (type === 'flag') return put(value === true ? '1' : '0')
  if (value === undefined) return '_'
  if (value instanceof Uint8Array) return sized(Buffer.from(value).toString('latin1'))
  if (!Array.isArray(value)) return put(String(value))
  const row = rowPlans[type]
  if (row !== undefined && type === 'claimed') return writeClaimed(row, value)
  const items = value.map((item: unknown) =>
    row === undefined
      ? put(item instanceof Uint8Array ? item : String(item))
      : `*${row.length},${writeFields(row, item as Readonly<Record<string, unknown>>)}`,
  )
  return `*${items.length},${items.join('')}`
}
