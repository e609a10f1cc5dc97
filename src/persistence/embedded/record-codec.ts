// How records look in a directory: bytes and text as they are, everything structured as JSON.
import { type ExecutionFields, isNumberField } from './execution-fields.ts'
import type { Keyspace } from './keyspace.ts'
import type { FieldKind } from './record.ts'

type Encode = (keyspace: Keyspace, name: string) => Uint8Array | string | undefined

function encodeEntries(entries: Iterable<[string, unknown]>): string {
  return JSON.stringify([...entries])
}

function encodeJson(value: object | undefined): string | undefined {
  // Absent fields are undefined, which JSON leaves out.
  return value === undefined ? undefined : JSON.stringify(value)
}

const idLength = 26

/** The execution and the field that a record of one field is about. */
export function splitField(name: string): readonly [id: string, field: string] {
  return [name.slice(0, idLength), name.slice(idLength + 1)]
}

/** The bucket and the holder that the record of a start is about. */
export function splitStart(name: string): readonly [bucket: string, holder: string] {
  const end = name.lastIndexOf(' ')
  return [name.slice(0, end), name.slice(end + 1)]
}

const encodeField =
  (kind: FieldKind): Encode =>
  ({ executions }, name) => {
    const [id, field] = splitField(name)
    return executions.get(id)?.[kind]?.get(field)
  }

const encoders: Readonly<Record<string, Encode>> = {
  'x:': ({ executions }, id) => encodeJson(executions.get(id)?.fields),
  'in:': ({ executions }, id) => executions.get(id)?.input,
  'out:': ({ executions }, id) => executions.get(id)?.ending,
  'note:': ({ executions }, id) => executions.get(id)?.note,
  'tags:': ({ executions }, id) => executions.get(id)?.tags,
  'tagged:': ({ executions }, id) => executions.get(id)?.tagged,
  'attempts:': ({ executions }, id) => encodeJson(executions.get(id)?.attempts),
  'key:': ({ keyed }, digest) => {
    const found = keyed.get(digest)
    return found && `${found.id} ${found.fingerprint}`
  },
  'wait:': encodeField('wait'),
  'points:': encodeField('points'),
  'signals:': encodeField('signals'),
  'group:': encodeField('group'),
  'flow:': ({ flows }, id) => {
    const fields = flows.records.get(id)
    return fields && encodeEntries(fields.entries())
  },
  'flowtags:': ({ flows }, id) => flows.tags.get(id),
  backlog: ({ work }) => JSON.stringify(work.backlog),
  stuck: ({ work }) => JSON.stringify(work.stuck),
  keyring: ({ keyring }) => encodeEntries(keyring.entries()),
  'line:': ({ feed }, place) => feed.lines.get(Number(place)),
  'segment:': ({ feed }, base) => feed.segments.get(Number(base))?.bytes,
  feed: ({ feed }) => String(feed.base),
  'streams:': ({ streams }, name) => streams.record('streams:', name),
  'frames:': ({ streams }, name) => streams.record('frames:', name),
  'summary:': ({ streams }, name) => streams.record('summary:', name),
  limits: ({ limits }) => encodeEntries(limits.definitions.entries()),
  pauses: ({ limits }) => encodeEntries(limits.pauses.entries()),
  'start:': ({ limits }, name) => {
    const [bucket, holder] = splitStart(name)
    return limits.starts.get(bucket)?.score(holder)?.toString()
  },
  'budget:': ({ budgets }, name) => budgets.record(name),
  'ledger0:': ({ ledgers }, name) => ledgers[0].record(name),
  'ledger1:': ({ ledgers }, name) => ledgers[1].record(name),
  'holds:': ({ holds }, name) => holds.record(name),
  'told:': ({ told }, name) => told.record(name),
  exhausted: ({ exhausted }) => encodeEntries(exhausted.entries()),
  admitting: ({ admitting }) => encodeEntries(admitting.entries()),
  'usage:': ({ usage }, name) => usage.record(name),
  lanes: ({ lanes }) => encodeEntries(lanes.entries()),
  config: ({ config }) => encodeEntries(config.entries()),
  routes: ({ routes }) =>
    encodeEntries([...routes.entries()].map(([lane, required]) => [lane, [...required]])),
}

/** Splits a record's key into the kind of record, with its colon, and the name after it. */
export function splitKey(key: string): readonly [kind: string, name: string] {
  const end = key.indexOf(':') + 1
  return end === 0 ? [key, ''] : [key.slice(0, end), key.slice(end)]
}

/** The records under these keys as they are now; undefined stands for one that is gone. */
export function encodeRecords(
  keyspace: Keyspace,
  keys: Iterable<string>,
): Map<string, Uint8Array | undefined> {
  const records = new Map<string, Uint8Array | undefined>()
  for (const key of keys) {
    const [kind, name] = splitKey(key)
    const value = encoders[kind]?.(keyspace, name)
    records.set(key, typeof value === 'string' ? Buffer.from(value) : value)
  }
  return records
}

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString()

/** Reads JSON of the given form, or throws what is wrong with it. */
function parse<Value>(bytes: Uint8Array, fits: (value: unknown) => value is Value): Value {
  const value: unknown = JSON.parse(text(bytes))
  if (!fits(value)) throw new Error('has another form')
  return value
}

const isText = (value: unknown) => typeof value === 'string'

const isList = (value: unknown): value is string[] => Array.isArray(value) && value.every(isText)

const isPairs = (value: unknown): value is [string, unknown][] =>
  Array.isArray(value) && value.every((pair) => Array.isArray(pair) && isText(pair[0]))

const isTextPairs = (value: unknown): value is [string, string][] =>
  isPairs(value) && value.every(([, second]) => isText(second))

const isListPairs = (value: unknown): value is [string, string[]][] =>
  isPairs(value) && value.every(([, second]) => isList(second))

function isFields(value: unknown): value is Partial<ExecutionFields> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  for (const [name, field] of Object.entries(value)) {
    const isNumber = isNumberField(name)
    if (isNumber === undefined) throw new Error(`has an unknown field ${name}`)
    if (isNumber ? !Number.isSafeInteger(field) : !isText(field)) {
      throw new Error(`has a field ${name} of another type`)
    }
  }
  return true
}

export const decodeText = text
export const decodeFields = (bytes: Uint8Array) => parse(bytes, isFields)
export const decodeList = (bytes: Uint8Array) => parse(bytes, isList)
export const decodeHash = (bytes: Uint8Array) => parse(bytes, isTextPairs)
export const decodeRoutes = (bytes: Uint8Array) => parse(bytes, isListPairs)
