// Time as an argument: the clock port and how durations are written.
import { EngineError } from './errors.ts'

/** Where an engine in this process reads the time; tests hand in one that they can set. */
export interface Clock {
  /** Microseconds since the Unix epoch, never going back. */
  nowUs(): number
}

/** The machine's clock, held back from ever going backwards. */
export function systemClock(): Clock {
  let lastUs = 0
  const originUs = performance.timeOrigin * 1000
  return {
    nowUs() {
      // Wall time decides; the monotonic part only adds microseconds within it.
      const wallUs = Date.now() * 1000
      const fineUs = Math.floor(originUs + performance.now() * 1000)
      const us = fineUs >= wallUs && fineUs < wallUs + 1000 ? fineUs : wallUs
      lastUs = Math.max(lastUs, us)
      return lastUs
    },
  }
}

const unitMs = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** A length of time: milliseconds, or a number with a unit such as `250ms`, `30s`, `5m`, `2d`. */
export type Duration = number | `${number}${keyof typeof unitMs}`

/** Reads a duration as whole milliseconds, or throws `invalid_input` naming the argument. */
export function parseDurationMs(duration: Duration, argument: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(String(duration))
  const ms =
    typeof duration === 'number'
      ? duration
      : match === null
        ? Number.NaN
        : Math.round(Number(match[1]) * unitMs[match[2] as keyof typeof unitMs])
  if (!Number.isSafeInteger(ms) || ms < 0) {
    throw new EngineError('invalid_input', `${argument} is not a duration like 250 or "30s"`, {
      details: { argument, given: String(duration) },
    })
  }
  return ms
}

/** The longest wait that a timer of Node can hold; more would fire at once. */
const timerMsMax = 2_147_483_647

/** Like `setTimeout`, for any length of time. Returns what takes it back. */
export function setTimer(callback: () => void, ms: number): { clear(): void; unref(): void } {
  let isUnref = false
  let timer: NodeJS.Timeout
  const arm = (leftMs: number): void => {
    timer = setTimeout(
      () => (leftMs > timerMsMax ? arm(leftMs - timerMsMax) : callback()),
      Math.min(leftMs, timerMsMax),
    )
    if (isUnref) timer.unref()
  }
  arm(ms)
  return {
    clear: () => clearTimeout(timer),
    unref: () => {
      isUnref = true
      timer.unref()
    },
  }
}
