// Does what is due and nobody claims: deadlines, timeouts, retention.
import type { EngineBackend } from '../persistence/backend.ts'
import { pause } from './pause.ts'
import type { Loop } from './supervised.ts'

/** New deadlines are not announced to sweepers, so they look at least this often. */
const lookMsMax = 1000
const lookMsMin = 20
const sweepCount = 200

/** Sweeps every partition when something is due in it. Any number of processes may do so. */
export function sweepLoop(backend: Pick<EngineBackend, 'sweep' | 'partitions'>): Loop {
  return async (signal) => {
    while (!signal.aborted) {
      const swept = await Promise.all(
        backend.partitions.map((partition) => backend.sweep(partition, sweepCount)),
      )
      // A sweep that did all it may has left something: memory must not grow while it rests.
      const isBehind = swept.some(({ purged, promoted }) => purged + promoted >= sweepCount)
      const nextInMs = Math.min(lookMsMax, ...swept.map((outcome) => outcome.nextInMs ?? lookMsMax))
      await pause(isBehind ? 0 : Math.max(lookMsMin, nextInMs), signal)
    }
  }
}
