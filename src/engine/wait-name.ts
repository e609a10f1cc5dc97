// Names of waits, and the keys of the waitpoints behind them.
import { EngineError } from '../errors.ts'
import { wordProblem } from '../persistence/word.ts'

/** Leaves room for the number that later waits of the same name append. */
const nameBytesMax = 56

/** Throws `invalid_input` unless a task may wait for the name. */
export function checkWaitName(name: unknown): void {
  const why =
    wordProblem(name, nameBytesMax) ?? (String(name).includes('#') ? 'must hold no #' : undefined)
  if (why === undefined) return
  throw new EngineError('invalid_input', `name ${why}`, { details: { argument: 'name', why } })
}

/** The key of a name's waitpoint: the first is the name, later ones are numbered. */
export function waitKey(name: string, used: number): string {
  return used === 0 ? name : `${name}#${used}`
}

/** The name that a key belongs to. */
export function waitName(key: string): string {
  return key.replace(/#\d+$/, '')
}
