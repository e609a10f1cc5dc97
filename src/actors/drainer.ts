// Does the work that operations on large flows leave for later, as soon as it is there.
import type { EngineBackend } from '../persistence/backend.ts'
import type { Loop } from './supervised.ts'

/** Drains every partition with work left. Any number of processes may do so. */
export function drainLoop(
  backend: Pick<EngineBackend, 'drain' | 'onBacklog' | 'partitions'>,
): Loop {
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
        await Promise.all([...left].map((partition) => drainOne(backend, partition, left)))
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

async function drainOne(
  backend: Pick<EngineBackend, 'drain'>,
  partition: number,
  left: Set<number>,
): Promise<void> {
  // What is told from now on counts again.
  left.delete(partition)
  const drained = await backend.drain(partition)
  if (drained.left > 0) left.add(partition)
}
