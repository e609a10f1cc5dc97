// Generates the page of options: every property of the option types, from their own docstrings.
//
// The formatter gives each property lines of its own, so that no compiler is needed to read them;
// whatever is laid out otherwise is refused.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const source = join(import.meta.dirname, '../src')

interface Option {
  readonly name: string
  readonly type: string
  readonly isRequired: boolean
  readonly meaning: string
  readonly defaultValue: string | undefined
}

interface OptionType {
  readonly base: string | undefined
  /** What it leaves out of its base. */
  readonly omitted: readonly string[]
  readonly own: readonly Option[]
}

/** Where the options of each section are declared, in the order of the page. */
const sections: readonly (readonly [heading: string, file: string, type: string])[] = [
  ['`openEngine(options)`', 'engine/open-engine', 'OpenEngineOptions'],
  ['`task(settings)`', 'engine/task', 'TaskSettings'],
  ['Per task and per execution', 'engine/task', 'ExecutionOptions'],
  ['`retry`', 'engine/task', 'TaskRetry'],
  ['Per execution', 'engine/submission', 'WorkSubmitOptions'],
  ['`engine.submit(task, input, options)`', 'engine/submission', 'SubmitOptions'],
  ['`engine.work(tasks, options)`', 'engine/worker', 'WorkOptions'],
  ['`engine.flow(kind, options)`', 'engine/flow', 'FlowOptions'],
  ['`flow.add(task, input, options)`', 'engine/flow-node', 'NodeOptions'],
  ['`run.cancel(options)`', 'engine/flow-run', 'CancelFlowOptions'],
  ['`context.spawn(task, input, options)`', 'engine/children', 'SpawnOptions'],
  ['`context.waitChildren(options)`', 'engine/children', 'WaitChildrenOptions'],
  ['`context.waitFor(name, options)`', 'engine/waits', 'WaitOptions'],
  ['`context.waitpoint(name, options)`', 'engine/waits', 'WaitpointOptions'],
  ['`context.emit(type, payload, options)`', 'engine/emitter', 'EmitOptions'],
  ['`context.reserve(budget, amounts, options)`', 'engine/task', 'ReserveOptions'],
  ['`execution.tail(options)`', 'engine/tail', 'TailOptions'],
  ['`engine.events(options)`', 'engine/feed', 'EventOptions'],
  ['`engine.search(options)`', 'engine/search', 'SearchOptions'],
  ['`engine.limits.set(name, options)`', 'engine/limits', 'LimitOptions'],
  ['`engine.limits.pause(name, options)`', 'engine/limits', 'PauseOptions'],
  ['`engine.budgets.create(options)`', 'engine/budgets', 'BudgetOptions'],
  ['`signalHandler(options)`', 'engine/signal-handler', 'SignalHandlerOptions'],
]

/** Every type that has a section. */
export const optionTypes: ReadonlySet<string> = new Set(sections.map(([, , type]) => type))

/** Declare what is inherited, and have no section of their own. */
const bases = ['engine/engine', 'persistence/backend-budget', 'persistence/search-backend']

const declaration =
  /^export interface (\w+)(?:<[^{]*>)?(?: extends (?:Omit<)?(\w+)([^{]*))? \{\n([\s\S]*?)^\}$/gm
const property =
  /^ {2}(?:\/\*\*([\s\S]*?)\*\/\n {2})?readonly (\w+)(\??): ([^\n]+(?:\n {3,}[^\n]+| {2}\n)*)\n/gm
const closing = /\n {2}[>})\]][^\n]*/g

function parseDoc(doc: string): Pick<Option, 'meaning' | 'defaultValue'> {
  const text = doc.replaceAll(/\s*\n\s*\*? ?/g, ' ').trim()
  const [meaning = '', defaultValue] = text.split('@defaultValue').map((part) => part.trim())
  return { meaning, defaultValue }
}

function parseOption([, doc = '', name = '', optional, type = '']: RegExpExecArray): Option {
  const flat = type.replaceAll(/\s*\n\s*/g, ' ').replace(/ \| undefined$/, '')
  return { name, type: flat, isRequired: optional !== '?', ...parseDoc(doc) }
}

function parseTypes(file: string): (readonly [name: string, type: OptionType])[] {
  const text = readFileSync(join(source, `${file}.ts`), 'utf8')
  return [...text.matchAll(declaration)]
    .filter(([, name = '']) => /(Options|Settings|Retry|Spec|Filter)$/.test(name))
    .map(([, name = '', base, omitted = '', body = '']) => {
      const flat = body.replaceAll(closing, (line) => ` ${line.trim()}`)
      const own = [...flat.matchAll(property)].map(parseOption)
      const declared = body.match(/^ {2}readonly /gm)?.length ?? 0
      if (own.length < declared)
        throw new Error(`${file}.ts: ${name} has an option in other layout`)
      const names = [...omitted.matchAll(/'(\w+)'/g)].map(([, left = '']) => left)
      return [name, { base, omitted: names, own }]
    })
}

const cell = (text: string): string => text.replaceAll('|', '\\|')

const head = '| option | type | default | meaning |\n|---|---|---|---|'

function row({ name, type, isRequired, meaning, defaultValue = 'none' }: Option): string {
  if (meaning === '') throw new Error(`the option ${name} does not say what it means`)
  const otherwise = isRequired ? '(required)' : cell(defaultValue)
  return `| \`${name}\` | \`${cell(type)}\` | ${otherwise} | ${cell(meaning)} |`
}

type Types = ReadonlyMap<string, OptionType>

/** The type's own options, and those of bases that have no section; which section has more. */
function collect(types: Types, name: string): { options: readonly Option[]; more?: string } {
  const type = types.get(name)
  if (type === undefined) throw new Error(`no options are declared as ${name}`)
  const { base, omitted, own } = type
  if (base === undefined) return { options: own }
  const [heading] = sections.find(([, , declared]) => declared === base) ?? []
  if (heading !== undefined) return { options: own, more: heading }
  const inherited = collect(types, base).options.filter((option) => !omitted.includes(option.name))
  return { options: [...own, ...inherited] }
}

const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replaceAll(/[^\w -]/g, '')
    .replaceAll(' ', '-')

/** A table for each call that takes options. */
export function optionsPage(): string {
  const files = new Set([...bases, ...sections.map(([, file]) => file)])
  const types: Types = new Map([...files].flatMap(parseTypes))
  const parts = sections.map(([heading, , type]) => {
    const { options, more } = collect(types, type)
    const beside = more === undefined ? '' : `\nBesides, all of [${more}](#${anchorOf(more)}).\n`
    const rows = options.map(row).join('\n')
    return `## ${heading}\n\n${head}\n${rows}\n${beside}`
  })
  return `<!-- GENERATED by \`npm run generate\` from the option types in src -->
# Options

What can be said where, and what holds when nothing is said. A \`Duration\` is a number of
milliseconds, or a text such as \`'500ms'\`, \`'30s'\`, \`'15m'\`, \`'12h'\`, \`'1d'\`.

${parts.join('\n')}`
}
