// Encodes arguments for the wire and decodes answers; no other file parses a reply.
import { EngineError } from '../../errors.ts'
import type { Answer, FieldPlan, OperationName, RowPlan } from '../contract.ts'
import { corruptKey } from '../corruption.ts'
import { operationPlans, partPlans, rowPlans } from '../generated/operations.ts'

/** A reply as the client library delivers it, with every string as bytes. */
export type Reply = Buffer | number | null | readonly Reply[]

const absent = '0'
const present = Buffer.from('1')

/** The operation's name and arguments in wire order. An optional argument says if it is there. */
export function encodeCall(
  name: OperationName,
  args: Readonly<Record<string, unknown>>,
): (string | Uint8Array)[] {
  const wire: (string | Uint8Array)[] = [name]
  for (const { name: argument, type, optional } of operationPlans[name].args) {
    const value = args[argument]
    if (Array.isArray(value)) wire.push(encodeParts(type, value))
    else if (!optional)
      wire.push(value instanceof Uint8Array ? asBuffer(value) : encodePlain(value))
    else if (value === undefined) wire.push(absent)
    else if (value instanceof Uint8Array) wire.push(Buffer.concat([present, value]))
    else wire.push(`1${encodePlain(value)}`)
  }
  return wire
}

/** A list of records: for each a line with the lengths of its fields, then the fields. */
function encodeParts(type: string, records: readonly Readonly<Record<string, unknown>>[]): Buffer {
  const plan = partPlans[type] ?? []
  const pieces: Buffer[] = []
  for (const record of records) {
    const fields = plan.map(({ name, optional }) => {
      const value = record[name]
      if (value === undefined) return Buffer.from(absent)
      const bytes = value instanceof Uint8Array ? asBuffer(value) : Buffer.from(encodePlain(value))
      return optional ? Buffer.concat([present, bytes]) : bytes
    })
    const lengths = fields.map(({ byteLength }) => byteLength).join(' ')
    pieces.push(Buffer.from(`${lengths}\n`), ...fields)
  }
  return Buffer.concat(pieces)
}

/** The client library sends a Buffer as it is, but writes other bytes out as text. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function encodePlain(value: unknown): string {
  return typeof value === 'boolean' ? (value ? '1' : '0') : String(value)
}

/**
 * Reads one answer. A fault of the server's code, or a reply that does not fit, is thrown;
 * `located` tells where in our source a fault's message points.
 */
export function decodeAnswer<Name extends OperationName>(
  name: Name,
  reply: Reply,
  located = (message: string): string => message,
): Answer<Name> {
  if (Buffer.isBuffer(reply)) return decodeShort(name, reply) as unknown as Answer<Name>
  const parts = expectList(reply, name)
  const outcome = text(parts[0])
  if (outcome === 'refused') return decodeRefusal(parts) as Answer<Name>
  if (outcome === 'fault') {
    throw new EngineError('invariant_broken', `${name}: ${located(text(parts[1]))}`)
  }
  if (outcome === 'corrupt') {
    const [, key, field, why] = parts.map(text)
    corruptKey(key as string, field as string, why as string)
  }
  const declared = operationPlans[name].returns[outcome]
  if (declared === undefined) throw misfit(name, `unknown outcome ${outcome}`)
  return decodeFields(name, declared, parts, 1, { outcome }) as unknown as Answer<Name>
}

/** An answer whose fields are all flags and numbers: the words of one text. */
function decodeShort(name: OperationName, reply: Buffer): Record<string, unknown> {
  const [outcome = '', ...words] = reply.toString().split(' ')
  const declared = operationPlans[name].returns[outcome]
  if (declared?.length !== words.length) throw misfit(name, `unknown outcome ${outcome}`)
  const answer: Record<string, unknown> = { outcome }
  declared.forEach((field, position) => {
    answer[field.name] = decodeWord(name, field, words[position] as string, '-')
  })
  return answer
}

/** Rows whose words are the lines of one text; what bytes they have follows it. */
function decodeLines(where: string, plan: RowPlan, reply: readonly Reply[]): object[] {
  const [all, ...blobs] = reply
  const lines = text(all)
  if (lines === '') return []
  const words = lines.split('\n')
  if (words.length % plan.length !== 0) throw misfit(where, 'lines are missing')
  const rows: object[] = []
  let blob = 0
  for (let at = 0; at < words.length; at += plan.length) {
    const row: Record<string, unknown> = {}
    for (let position = 0; position < plan.length; position++) {
      const field = plan[position] as FieldPlan
      const word = words[at + position] as string
      if (field.type !== 'bytes') row[field.name] = decodeWord(where, field, word, '')
      else row[field.name] = word === '1' ? blobs[blob++] : undefined
    }
    rows.push(row)
  }
  return rows
}

/** `absent` is how the lack of an optional number is written. */
function decodeWord(
  where: string,
  { name, type, optional }: FieldPlan,
  word: string,
  absent: string,
): string | boolean | number | undefined {
  if (type === 'text') return word
  if (type === 'flag') return word === '1'
  if (optional && word === absent) return undefined
  const number = word === '' ? Number.NaN : Number(word)
  return Number.isSafeInteger(number) ? number : corruptKey(where, name, 'is no whole number')
}

function decodeRefusal(parts: readonly Reply[]) {
  const details: Record<string, string> = {}
  for (let position = 2; position + 1 < parts.length; position += 2) {
    details[text(parts[position])] = text(parts[position + 1])
  }
  return { outcome: 'refused', code: text(parts[1]), details }
}

/** Adds the declared fields, whose values stand in order from `first` on. */
function decodeFields(
  where: string,
  declared: readonly FieldPlan[],
  values: readonly Reply[],
  first: number,
  fields: Record<string, unknown>,
): Record<string, unknown> {
  let position = first
  for (const { name, type } of declared) {
    const value = values[position]
    const isThere = value !== null && value !== undefined
    fields[name] = isThere ? decodeValue(where, name, type, value) : undefined
    position += 1
  }
  return fields
}

/** Numbers pass through Lua as they are stored. */
function decodeNumber(where: string, name: string, value: Reply): number {
  const number = typeof value === 'number' ? value : Number(text(value))
  return Number.isSafeInteger(number) ? number : corruptKey(where, name, 'is no whole number')
}

function decodeValue(where: string, name: string, type: string, value: Reply): unknown {
  switch (type) {
    case 'bytes':
      return value
    case 'text':
      return text(value)
    case 'int':
      return decodeNumber(where, name, value)
    case 'flag':
      return value === 1
    case 'list':
      return expectList(value, type).map(text)
    case 'blobs':
      return expectList(value, type)
    case 'claimed':
      return decodeLines(`${where} ${type}`, rowPlans[type] ?? [], expectList(value, type))
    case 'map':
      return decodeMap(expectList(value, type))
    default:
      return expectList(value, type).map((row) =>
        decodeFields(`${where} ${type}`, rowPlans[type] ?? [], expectList(row, type), 0, {}),
      )
  }
}

function decodeMap(flat: readonly Reply[]): Record<string, string> {
  const entries: [string, string][] = []
  for (let position = 0; position + 1 < flat.length; position += 2) {
    entries.push([text(flat[position]), text(flat[position + 1])])
  }
  // Assigning would lose a name such as __proto__.
  return Object.fromEntries(entries)
}

function text(value: Reply | undefined): string {
  return Buffer.isBuffer(value) ? value.toString() : String(value)
}

function expectList(value: Reply, where: string): readonly Reply[] {
  if (!Array.isArray(value)) throw misfit(where, 'a list was expected')
  return value
}

function misfit(where: string, what: string): EngineError {
  return new EngineError('server_fault', `the reply to ${where} cannot be read: ${what}`)
}
