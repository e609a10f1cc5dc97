// Looks through the waitpoints of an execution, for those who signal by name.
import type { ExecutionId } from '../ids.ts'
import type { DeliverOutcome, EngineBackend, WaitpointSummary } from '../persistence/backend.ts'

const pageSize = 1000

type Open = WaitpointSummary & { readonly state: 'active' | 'pending' }

export const isOpenWaitpoint = (point: WaitpointSummary): point is Open =>
  point.state === 'active' || point.state === 'pending'

/** Every waitpoint of an execution, in the order in which they were issued. */
export async function allWaitpoints(
  backend: Pick<EngineBackend, 'listWaitpoints'>,
  id: ExecutionId,
): Promise<readonly WaitpointSummary[]> {
  const found: WaitpointSummary[] = []
  let cursor: string | undefined
  do {
    const page = await backend.listWaitpoints(id, { cursor, limit: pageSize })
    found.push(...page.items)
    cursor = page.nextCursor
  } while (cursor !== undefined)
  return found.sort((a, b) => a.createdAtMs - b.createdAtMs)
}

/** What the signal did that was accepted under this key at one of these waitpoints. */
export async function knownSignal(
  backend: Pick<EngineBackend, 'listSignals'>,
  id: ExecutionId,
  points: readonly WaitpointSummary[],
  idempotencyKey: string | undefined,
): Promise<DeliverOutcome | undefined> {
  if (idempotencyKey === undefined || points.length === 0) return undefined
  const ids = new Set(points.map(({ waitpointId }) => waitpointId))
  let after: number | undefined = 0
  while (after !== undefined) {
    const page: Awaited<ReturnType<EngineBackend['listSignals']>> = await backend.listSignals(
      id,
      after,
      pageSize,
    )
    const known = page.items.find(
      (signal) => signal.idempotencyKey === idempotencyKey && ids.has(signal.waitpointId),
    )
    if (known !== undefined) {
      return { outcome: 'duplicate', signalId: known.signalId, effect: known.effect }
    }
    after = page.nextCursor
  }
  return undefined
}
