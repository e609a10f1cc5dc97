// Searching executions as an iteration: page after page, as far as somebody reads.
import { EngineError } from '../errors.ts'
import type { EngineBackend } from '../persistence/backend.ts'
import type { FoundExecution, SearchFilter } from '../persistence/search-backend.ts'
import type { FaultListener } from './faults.ts'

/** What executions have to be like; everything that is there must fit. */
export interface SearchOptions extends Omit<SearchFilter, 'createdAfterMs' | 'createdBeforeMs'> {
  /** Created at this time or later. */
  readonly createdAfter?: Date
  /** Created before this time. */
  readonly createdBefore?: Date
}

/** Fewer than one step of the server looks at, so that whoever stops early asked for little. */
const pageRows = 250

/** Every execution that fits. Damaged ones are told to `onError`, and the iteration goes on. */
export async function* searchExecutions(
  backend: Pick<EngineBackend, 'searchExecutions'>,
  { createdAfter, createdBefore, ...filter }: SearchOptions,
  onError: FaultListener,
): AsyncGenerator<FoundExecution, void, undefined> {
  const wanted = {
    ...filter,
    createdAfterMs: createdAfter?.getTime(),
    createdBeforeMs: createdBefore?.getTime(),
  }
  let cursor: string | undefined
  do {
    const page = await backend.searchExecutions(wanted, cursor, pageRows)
    for (const { id, detail } of page.corrupt) {
      const details = { executionId: id, detail }
      onError(new EngineError('corruption', `execution ${id}: ${detail}`, { details }))
    }
    yield* page.items
    cursor = page.nextCursor
  } while (cursor !== undefined)
}
