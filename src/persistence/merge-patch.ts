// RFC 7396 merge patches on JSON texts. What is not an object is carried over as it is written, so
// that no number loses a digit on the way.
import { EngineError } from '../errors.ts'
import { counts } from '../limits.ts'

/** An object by its members; everything else as its text, without insignificant white space. */
type Json = Map<string, Json> | string

function wrong(why: string, cause?: unknown): EngineError {
  return new EngineError('invalid_input', `payload ${why}`, {
    cause,
    details: { argument: 'payload', why },
  })
}

/** Splits a text that is known to be JSON into its tokens: strings, marks, and everything else. */
const tokenPattern = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]|[^\s{}[\],:"]+/gy

class Reader {
  private readonly tokens: readonly string[]
  private at = 0

  constructor(text: string) {
    this.tokens = tokensOf(text)
  }

  read(): Json {
    const token = this.take()
    if (token === '{') return this.readObject()
    return token === '[' ? this.readArray() : token
  }

  private take(): string {
    return this.tokens[this.at++] as string
  }

  private readObject(): Json {
    const members = new Map<string, Json>()
    for (let token = this.take(); token !== '}'; token = this.take()) {
      if (token === ',') continue
      const name = JSON.parse(token) as string
      this.take()
      members.set(name, this.read())
    }
    return members
  }

  /** Arrays are replaced whole, so their text is all that is needed. */
  private readArray(): string {
    let text = '['
    for (let depth = 1; depth > 0; ) {
      const token = this.take()
      if (token === '[' || token === '{') depth += 1
      else if (token === ']' || token === '}') depth -= 1
      text += token
    }
    return text
  }
}

function tokensOf(text: string): string[] {
  const tokens: string[] = []
  for (let at = 0; ; ) {
    while (at < text.length && text.charCodeAt(at) <= 32) at += 1
    tokenPattern.lastIndex = at
    const match = tokenPattern.exec(text)
    if (match === null) return tokens
    tokens.push(match[0])
    at = tokenPattern.lastIndex
  }
}

function parse(text: string): Json {
  // Refuses all that is not JSON; the reader relies on it.
  JSON.parse(text)
  return new Reader(text).read()
}

function write(value: Json): string {
  if (typeof value === 'string') return value
  const members = [...value].map(([name, member]) => `${JSON.stringify(name)}:${write(member)}`)
  return `{${members.join(',')}}`
}

function merge(target: Json | undefined, patch: Json): Json {
  if (typeof patch === 'string') return patch
  const merged = new Map(typeof target === 'object' ? target : [])
  for (const [name, change] of patch) {
    if (change === 'null') merged.delete(name)
    else merged.set(name, merge(merged.get(name), change))
  }
  return merged
}

/** The target changed as the patch says. Both are JSON texts; throws SyntaxError otherwise. */
export function mergePatch(target: string, patch: string): string {
  return write(merge(parse(target), parse(patch)))
}

function depthOf(text: string): number {
  let deepest = 0
  let depth = 0
  for (const token of tokensOf(text)) {
    if (token === '{' || token === '[') depth += 1
    else if (token === '}' || token === ']') depth -= 1
    deepest = Math.max(deepest, depth)
  }
  return deepest
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The patch as text; throws `invalid_input` unless it is a JSON object of bounded depth. */
export function readPatch(payload: Uint8Array): string {
  let text: string
  let value: unknown
  try {
    text = decoder.decode(payload)
    value = JSON.parse(text)
  } catch (cause) {
    throw wrong('is not JSON in UTF-8', cause)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw wrong('must be a JSON object')
  }
  if (depthOf(text) > counts.patchDepthMax) {
    throw wrong(`is nested deeper than ${counts.patchDepthMax}`)
  }
  return text
}
