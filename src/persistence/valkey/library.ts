// Keeps the function library present on every primary.
import { EngineError } from '../../errors.ts'
import { libraryLines, libraryName, librarySource } from '../generated/library.ts'

/** A function library under the name that its content gives it. */
export interface Library {
  readonly name: string
  readonly source: string
  readonly lines: readonly (readonly [line: number, file: string])[]
}

/** The library that this build of Holdfast calls. */
export const shippedLibrary: Library = {
  name: libraryName,
  source: librarySource,
  lines: libraryLines,
}

/** A connection to one primary. */
interface Node {
  call(command: string, ...args: string[]): Promise<unknown>
}

/** Loads the library where it is missing. Two processes may do so at once. */
export async function ensureLibrary(library: Library, nodes: readonly Node[]): Promise<void> {
  await Promise.all(
    nodes.map(async (node) => {
      const listed = await node.call('FUNCTION', 'LIST', 'LIBRARYNAME', library.name)
      if (Array.isArray(listed) && listed.length > 0) return
      try {
        await node.call('FUNCTION', 'LOAD', library.source)
      } catch (error) {
        if (!/already exists/.test(String(error))) throw error
      }
    }),
  )
}

/** Refuses servers that lack functions, or that answer as something else. */
export async function requireSupportedServer(node: Node): Promise<void> {
  const info = String(await node.call('INFO', 'server'))
  const valkey = /^valkey_version:(\d+)\.(\d+)/m.exec(info)
  const redis = /^redis_version:(\d+)\.(\d+)/m.exec(info)
  if (valkey !== null || (redis !== null && Number(redis[1]) >= 7)) return
  throw new EngineError('server_unsupported', `the server is version ${redis?.[0] ?? 'unknown'}`)
}

/** Rewrites `user_function:LINE` in a server's message to the Lua file and line it came from. */
export function locate(message: string, lines: Library['lines']): string {
  return message.replace(/@?user_function:(\d+)/g, (whole, digits: string) => {
    const line = Number(digits)
    const start = lines.findLast(([first]) => first <= line)
    return start === undefined ? whole : `${start[1]}:${line - start[0] + 1}`
  })
}
