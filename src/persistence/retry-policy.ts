// The stored form of a retry policy, and how it decides; the twin of lua/lib/retry.lua.
import { type Bounds, bounds, bytesMax, type FailureClass, failureClassLetters } from '../limits.ts'

/** A retry policy as it is stored with an execution. */
export interface StoredRetryPolicy {
  /** How many attempts there may be in all, the first included. */
  readonly attempts: number
  readonly backoff: 'fixed' | 'exponential'
  readonly firstMs: number
  readonly longestMs: number
  /** Growth per retry, in thousandths. */
  readonly multiplierMilli: number
  /** Full jitter: the wait is drawn evenly from nothing up to the computed one. */
  readonly jitter: boolean
  /** The failure classes that are retried. */
  readonly classes: readonly FailureClass[]
}

const pattern = /^(\d+) (fixed|exponential) (\d+) (\d+) (\d+) ([01]) ([tpioc]*)$/

const within = (value: number, { min, max }: Bounds): boolean => value >= min && value <= max

export function formatRetryPolicy(policy: StoredRetryPolicy): string {
  const { attempts, backoff, firstMs, longestMs, multiplierMilli, jitter, classes } = policy
  // In one order and once each, so that equal policies are equal texts.
  const letters = Object.entries(failureClassLetters)
    .map(([name, letter]) => (classes.includes(name as FailureClass) ? letter : ''))
    .join('')
  const numbers = `${firstMs} ${longestMs} ${multiplierMilli} ${jitter ? 1 : 0}`
  return `${attempts} ${backoff} ${numbers} ${letters}`
}

function classesOf(letters: string): FailureClass[] {
  const names = Object.keys(failureClassLetters) as FailureClass[]
  return names.filter((name) => letters.includes(failureClassLetters[name]))
}

/** Reads a stored policy; undefined when the text is none, or out of bounds. */
export function parseRetryPolicy(text: string): StoredRetryPolicy | undefined {
  const match = pattern.exec(text)
  if (match === null || text.length > bytesMax.word) return undefined
  const policy: StoredRetryPolicy = {
    attempts: Number(match[1]),
    backoff: match[2] as 'fixed' | 'exponential',
    firstMs: Number(match[3]),
    longestMs: Number(match[4]),
    multiplierMilli: Number(match[5]),
    jitter: match[6] === '1',
    classes: classesOf(match[7] as string),
  }
  const fits =
    within(policy.attempts, bounds.attempts_max) &&
    within(policy.firstMs, bounds.backoff_ms) &&
    within(policy.longestMs, bounds.backoff_ms) &&
    within(policy.multiplierMilli, bounds.multiplier_milli)
  return fits ? policy : undefined
}

/**
 * The wait before retry number `n` (from 0): `first × multiplier^n`, at most `longest`, then full
 * jitter (AWS Architecture Blog, "Exponential Backoff And Jitter", 2015), at least 1 ms.
 *
 * Repeated multiplication instead of a power, so that both backends round alike.
 */
export function backoffMs(policy: StoredRetryPolicy, n: number, randomPpm: number): number {
  let delayMs = policy.firstMs
  if (policy.backoff === 'exponential') {
    const multiplier = policy.multiplierMilli / 1000
    for (let step = 0; step < n; step++) {
      delayMs *= multiplier
      if (delayMs >= policy.longestMs || multiplier === 1) break
    }
  }
  delayMs = Math.min(delayMs, policy.longestMs)
  if (policy.jitter) delayMs = (delayMs * randomPpm) / 1_000_000
  return Math.max(1, Math.floor(delayMs))
}
