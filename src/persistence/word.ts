// Words: names that join in keys and on the wire; lua/lib/op.lua checks the same.
import { bytesMax } from '../limits.ts'

// Bars and commas join words in keys and on the wire; white space and control characters hide.
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
const notInWords = /[\u0000-\u0020\u007f|,]/

/** Words of plain letters, digits and marks: nearly all are, and their bytes need no count. */
const plainWord = /^[!-+\-./0-{}~]+$/

/** What keeps a value from being a word; undefined when it is one. */
export function wordProblem(value: unknown, lengthMax: number = bytesMax.word): string | undefined {
  if (typeof value !== 'string') return 'must be a string'
  if (value.length <= lengthMax && plainWord.test(value)) return undefined
  const length = Buffer.byteLength(value)
  if (length < 1 || length > lengthMax || notInWords.test(value)) {
    return `must be 1 to ${lengthMax} bytes without white space, commas or bars`
  }
  return undefined
}
