// Reads the contracts that operations declare in Lua, without running them.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import luaparse from 'luaparse'

/** A declared value: its name, its type and whether it may be absent. */
export interface Field {
  readonly name: string
  readonly type: string
  readonly optional: boolean
}

export interface Contract {
  readonly name: string
  readonly module: string
  /** The first sentence of the file. */
  readonly summary: string
  readonly events: readonly string[]
  readonly reads: boolean
  readonly args: readonly Field[]
  readonly returns: Readonly<Record<string, readonly Field[]>>
}

const root = join(import.meta.dirname, '..', 'lua')

/** The contract of every operation, by name. */
export function readContracts(): readonly Contract[] {
  const contracts: Contract[] = []
  for (const noun of readdirSync(join(root, 'ops')).sort()) {
    for (const file of readdirSync(join(root, 'ops', noun)).sort()) {
      contracts.push(readContract(`ops.${noun}.${file.replace(/\.lua$/, '')}`))
    }
  }
  return contracts
}

/** The shapes of rows that outcomes carry. */
export function readRows(): Readonly<Record<string, readonly Field[]>> {
  const rows = literal(lastReturn('lib.rows')) as Record<string, string[]>
  return mapValues(rows, (fields) => fields.map(field))
}

/** The shapes of the records that arguments carry in lists. */
export function readParts(): Readonly<Record<string, readonly Field[]>> {
  const parts = literal(lastReturn('lib.parts')) as Record<string, string[]>
  return mapValues(parts, (fields) => fields.map(field))
}

/** Every error code that Lua refuses with. */
export function readRefusalCodes(): ReadonlySet<string> {
  const codes = new Set<string>()
  for (const path of readdirSync(root, { recursive: true, encoding: 'utf8' })) {
    if (!path.endsWith('.lua')) continue
    const text = readFileSync(join(root, path), 'utf8')
    for (const [, code] of text.matchAll(/op\.refuse\(\s*"(\w+)"/g)) codes.add(code as string)
    for (const [, code] of text.matchAll(/\bcode = "(\w+)"/g)) codes.add(code as string)
  }
  return codes
}

function readContract(module: string): Contract {
  const call = lastReturn(module)
  if (call.type !== 'CallExpression') throw new Error(`${module} does not return op.define{…}`)
  const spec = literal(call.arguments[0] as luaparse.Expression) as Record<string, unknown>
  const expected = module.slice('ops.'.length)
  if (spec.name !== expected) throw new Error(`${module} must be named ${expected}`)
  return {
    name: expected,
    module,
    summary: summaryOf(module),
    events: list(spec.events),
    reads: spec.reads === true,
    args: list(spec.args).map(field),
    returns: mapValues(spec.returns as Record<string, unknown>, (fields) =>
      list(fields).map(field),
    ),
  }
}

function summaryOf(module: string): string {
  const text = readFileSync(pathOf(module), 'utf8')
  const lines = text.split('\n')
  const end = lines.findIndex((line) => !line.startsWith('-- '))
  return lines
    .slice(0, end)
    .map((line) => line.slice(3))
    .join(' ')
}

const pathOf = (module: string): string => join(root, `${module.replaceAll('.', '/')}.lua`)

function lastReturn(module: string): luaparse.Expression {
  const chunk = luaparse.parse(readFileSync(pathOf(module), 'utf8'), {
    luaVersion: '5.1',
    encodingMode: 'pseudo-latin1',
  })
  const last = chunk.body.at(-1)
  const value = last?.type === 'ReturnStatement' ? last.arguments[0] : undefined
  if (value === undefined) throw new Error(`${module} returns nothing`)
  return value
}

/** Evaluates literals and table constructors; anything else (such as `run`) becomes undefined. */
function literal(node: luaparse.Expression): unknown {
  if (node.type === 'StringLiteral' || node.type === 'BooleanLiteral') return node.value
  if (node.type !== 'TableConstructorExpression') return undefined
  const values: unknown[] = []
  const named: Record<string, unknown> = {}
  for (const entry of node.fields) {
    if (entry.type === 'TableValue') values.push(literal(entry.value))
    else if (entry.type === 'TableKeyString') named[entry.key.name] = literal(entry.value)
  }
  return values.length > 0 ? values : named
}

function list(value: unknown): string[] {
  return Array.isArray(value) ? (value as string[]) : []
}

function field(text: string): Field {
  const match = /^([a-z_]+):([a-z_]+)(\??)$/.exec(text)
  if (match === null) throw new Error(`not a declared value: ${text}`)
  return { name: match[1] as string, type: match[2] as string, optional: match[3] === '?' }
}

function mapValues<In, Out>(
  record: Readonly<Record<string, In>>,
  convert: (value: In) => Out,
): Record<string, Out> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, convert(value)]))
}
