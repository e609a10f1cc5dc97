// Does the work that operations on large flows leave for later, as soon as it is there.
import { EngineError } from '../errors.ts'
import type { EngineBackend } from '../persistence/backend.ts'
import type { Loop } from './supervised.ts'

type Drained = Awaited<ReturnType<EngineBackend['drain']>>

/**
 * Drains every partition with work left. Any number of processes may do so. Work that is stuck at
 * a damaged record is reported when there is more of it than before.
 */
export function drainLoop(
  backend: Pick<EngineBackend, 'drain' | 'onBacklog' | 'partitions'>,
  onError: (error: unknown) => void,
): Loop {
  const reported = new Map<number, number>()
  const report = (partition: number, { stuck, why }: Drained) => {
    if (stuck > (reported.get(partition) ?? 0)) onError(stuckError(partition, stuck, why))
    reported.set(partition, stuck)
  }
  return async (signal) => {
    // At first all of them: somebody may have left work and crashed.
    const left = new Set<number>(backend.partitions)
    let wake = () => {}
    const hear = (partition: number | undefined) => {
      for (const one of partition === undefined ? backend.partitions : [partition]) left.add(one)
      wake()
    }
    const stop = () => wake()
    signal.addEventListener('abort', stop)
    const unsubscribe = await backend.onBacklog(hear)
    try {
      while (!signal.aborted) {
        const drainOne = async (partition: number) => {
          // What is told from now on counts again.
          left.delete(partition)
          const drained = await backend.drain(partition)
          if (drained.left > 0) left.add(partition)
          report(partition, drained)
        }
        await Promise.all([...left].map(drainOne))
        if (left.size > 0 || signal.aborted) continue
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    } finally {
      signal.removeEventListener('abort', stop)
      unsubscribe()
    }
  }
}

function stuckError(partition: number, stuck: number, why = 'unknown'): EngineError {
  const message = `${stuck} pieces of work of partition ${partition} do not go on: ${why}`
  return new EngineError('corruption', message, { details: { partition, stuck, why } })
}
