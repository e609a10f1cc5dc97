// What the operations of one batch share: the stored state, one reading of the clock, wake calls.
import type { Refusal } from '../contract.ts'
import type { Keyspace } from './keyspace.ts'
import { Wake } from './wake.ts'

export class CallContext {
  readonly keyspace: Keyspace
  readonly nowUs: number
  readonly nowMs: number
  readonly wake: Wake
  private done: Set<string> | undefined

  constructor(keyspace: Keyspace, nowUs: number) {
    this.keyspace = keyspace
    this.nowUs = nowUs
    this.nowMs = Math.floor(nowUs / 1000)
    this.wake = new Wake(keyspace)
  }

  /** Whether this is the first time that this batch asks for `name`. */
  first(name: string): boolean {
    this.done ??= new Set()
    if (this.done.has(name)) return false
    this.done.add(name)
    return true
  }
}

/** An answer that a correct caller cannot expect: a code of the error catalogue and facts. */
export function refuse(code: string, details: Readonly<Record<string, string>> = {}): Refusal {
  return { outcome: 'refused', code, details }
}
