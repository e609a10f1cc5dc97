// A wait that a signal ends early.
import { setTimer } from '../time.ts'

/** Resolves after `ms`, or as soon as the signal fires. Does not keep the process alive. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => {
    const finish = () => {
      timer.clear()
      signal.removeEventListener('abort', finish)
      resolve()
    }
    const timer = setTimer(finish, ms)
    timer.unref()
    signal.addEventListener('abort', finish, { once: true })
  })
}
