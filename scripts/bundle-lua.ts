// Turns the Lua modules into one function library with a content hash and a line map.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** A function library, ready to be loaded into a server. */
export interface Bundle {
  /** Name of the library and of its writing function: `holdfast_<hash>`. */
  readonly name: string
  readonly source: string
  /** First line of each module in the source, in order. */
  readonly lines: readonly (readonly [line: number, file: string])[]
}

const root = join(import.meta.dirname, '..', 'lua')

/** Bundles `main` and what it requires; `replace` swaps modules by name for other source text. */
export function bundleLua(replace: Readonly<Record<string, string>> = {}): Bundle {
  const modules = collectModules(replace)
  const hash = createHash('sha256')
  for (const [name, text] of modules) hash.update(`${name}\0${text}\0`)
  const name = `holdfast_${hash.digest('hex').slice(0, 16)}`
  const out = [
    `#!lua name=${name}`,
    `local LIBRARY = "${name}"`,
    'local modules, loaded = {}, {}',
    'local function require(name)',
    '  if loaded[name] == nil then loaded[name] = modules[name]() or true end',
    '  return loaded[name]',
    'end',
  ]
  const lines: [number, string][] = []
  for (const [module, text] of modules) {
    out.push(`modules["${module}"] = function()`)
    lines.push([out.length + 1, `lua/${module.replaceAll('.', '/')}.lua`])
    out.push(...text.trimEnd().split('\n'), 'end')
  }
  out.push('require("main")', '')
  return { name, source: out.join('\n'), lines }
}

/** Every module that `main` needs, each after what it requires itself. */
function collectModules(replace: Readonly<Record<string, string>>): Map<string, string> {
  const modules = new Map<string, string>()
  const visiting = new Set<string>()
  const visit = (name: string): void => {
    if (modules.has(name)) return
    if (visiting.has(name)) throw new Error(`Lua modules require each other: ${name}`)
    visiting.add(name)
    const text =
      replace[name] ?? readFileSync(join(root, `${name.replaceAll('.', '/')}.lua`), 'utf8')
    for (const [, required] of text.matchAll(/\brequire\("([\w.]+)"\)/g)) visit(required as string)
    modules.set(name, text)
  }
  visit('main')
  return modules
}
