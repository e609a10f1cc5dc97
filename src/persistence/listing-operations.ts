// Lists of a whole partition or of all: executions' ids, what is suspended, the lanes.
import { formatExecutionId } from '../ids.ts'
import { bounds, laneStates } from '../limits.ts'
import { anyCount, checkWhole, parseCursor } from './arguments.ts'
import type { EngineBackend, LaneState, LaneSummary } from './backend.ts'
import { corruptKey, readRows } from './corruption.ts'
import type { SuspendedRow } from './generated/operations.ts'
import { parseSuspendedCursor } from './signal-delivery.ts'
import { readSuspended } from './signal-reading.ts'
import type { Store } from './store.ts'
import { storedCall } from './stored-call.ts'

export type ListingOperations = Pick<
  EngineBackend,
  'listExecutions' | 'listLanes' | 'listSuspended'
>

function readLane([lane, stored]: readonly [string, string]): LaneSummary {
  const state = laneStates.find((known): known is LaneState => known === stored)
  return { lane, state: state ?? corruptKey('lanes', lane, `unknown: ${stored}`) }
}

/** The lists over any store. */
export function listingOperations(store: Store): ListingOperations {
  return {
    async listExecutions(partition, cursor, limit) {
      checkWhole('limit', limit, anyCount)
      checkWhole('partition', partition, { min: 0, max: store.partitionCount - 1 })
      const after = cursor === undefined ? undefined : parseCursor(cursor)
      const count = Math.min(limit, bounds.page_count.max)
      const args = { after, count }
      const { ids, more } = await storedCall(store, partition, 'partition.list', args)
      const items = ids.map((local) => formatExecutionId(partition, local))
      return { items, nextCursor: more ? items.at(-1) : undefined }
    },
    async listSuspended(partition, cursor, limit) {
      checkWhole('limit', limit, anyCount)
      checkWhole('partition', partition, { min: 0, max: store.partitionCount - 1 })
      const after = cursor === undefined ? undefined : parseSuspendedCursor(cursor)
      const answer = await storedCall(store, partition, 'partition.suspended', {
        after: after?.after,
        after_score: after?.after_score,
        count: Math.min(limit, bounds.page_count.max),
      })
      const idOf = ({ id }: SuspendedRow) => formatExecutionId(partition, id)
      const last = answer.more ? answer.executions.at(-1) : undefined
      return {
        ...readRows(answer.executions, idOf, (row) => readSuspended(partition, row)),
        nextCursor: last && `${last.score}:${idOf(last)}`,
      }
    },
    async listLanes(cursor, limit) {
      checkWhole('limit', limit, anyCount)
      const partitions = Array.from({ length: store.partitionCount }, (_, partition) => partition)
      const answers = await Promise.all(
        partitions.map((partition) => storedCall(store, partition, 'lane.list', {})),
      )
      const known = new Map(answers.flatMap(({ lanes }) => Object.entries(lanes)))
      const after = [...known]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .filter(([lane]) => cursor === undefined || lane > cursor)
      const page = after.slice(0, limit)
      const nextCursor = after.length > page.length ? page.at(-1)?.[0] : undefined
      return { ...readRows(page, ([lane]) => lane, readLane), nextCursor }
    },
  }
}
