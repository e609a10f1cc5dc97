// The function library with a clock that tests set and functions that show and load everything.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Bundle, bundleLua } from '../../scripts/bundle-lua.ts'

const lua = join(import.meta.dirname, '..', '..', 'lua')

/** The source of a module as it stands in this repository. */
export function moduleText(name: string): string {
  return readFileSync(join(lua, `${name.replaceAll('.', '/')}.lua`), 'utf8')
}

function beside(file: string): string {
  return readFileSync(join(import.meta.dirname, file), 'utf8')
}

/** Replaces text that must be there exactly once. */
export function edited(text: string, before: string, after: string): string {
  const [head, tail, ...more] = text.split(before)
  if (head === undefined || tail === undefined || more.length > 0) {
    throw new Error(`not there exactly once: ${before}`)
  }
  return head + after + tail
}

/**
 * The library as it ships but for its clock, with `_clock`, `_dump`, `_digest`, `_edges` and
 * `_edges_in_full` beside its own functions. `replace` swaps modules for changed ones.
 */
export function observingLibrary(replace: Readonly<Record<string, string>> = {}): Bundle {
  const text = (name: string) => replace[name] ?? moduleText(name)
  const setter = 'function clock.set(ms)\n  now_ms = ms\nend\n\nreturn clock'
  const entry = 'op.serve = serve\n\nreturn op'
  return bundleLua({
    ...replace,
    'lib.clock': edited(beside('clock.lua'), 'return clock', setter),
    'lib.op': edited(text('lib.op'), '\nreturn op\n', `\n${entry}\n`),
    main: `${text('main')}\nrequire("test.keyspace")\n`,
    'test.keyspace': beside('keyspace.lua'),
  })
}
