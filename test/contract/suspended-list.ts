// Listing what is suspended: by deadline, then by id, in step while rows come and go.
import { describe, expect, it } from 'vitest'
import type { ExecutionId } from '../../src/ids.ts'
import type { SuspendedExecution } from '../../src/persistence/backend-suspension.ts'
import type { Open, OpenedBackend } from '../support/backends.ts'
import { claimAll, refusal, submit, sweepAll, withoutTrace } from '../support/executions.ts'
import { approval, openSigning, suspended } from '../support/suspensions.ts'

/** Reads page by page; `between` runs after each page. */
async function listAll(
  { backend }: OpenedBackend,
  limit: number,
  between: (page: readonly SuspendedExecution[]) => Promise<void> = async () => undefined,
): Promise<SuspendedExecution[]> {
  const rows: SuspendedExecution[] = []
  let cursor: string | undefined
  do {
    const page = await backend.listSuspended(0, cursor, limit)
    expect(page.items.length).toBeLessThanOrEqual(limit)
    rows.push(...page.items)
    cursor = page.nextCursor
    await between(page.items)
  } while (cursor !== undefined)
  return rows
}

/** Many suspended executions of one deadline, by id. */
async function crowd(opened: OpenedBackend, count: number): Promise<ExecutionId[]> {
  const { backend } = opened
  await Promise.all(Array.from({ length: count }, () => submit(backend)))
  const ids: ExecutionId[] = []
  for (let left = count; left > 0; left -= 256) {
    const claimed = await claimAll(backend)
    await Promise.all(claimed.map(({ handle }) => backend.suspend(handle, approval)))
    ids.push(...claimed.map(({ executionId }) => executionId))
  }
  return ids.sort()
}

const idsOf = (rows: readonly SuspendedExecution[]) => rows.map(({ executionId }) => executionId)

export function describeSuspendedList(open: Open): void {
  describe('listSuspended', () => {
    it('shows the first to end first, then by id, with its reason', async () => {
      const opened = await openSigning(open, { partitions: 1 })
      const { backend, clock } = opened
      const atMs = clock.nowMs()
      const never = await suspended(opened, { reason: 'my_own_word' })
      const late = await suspended(opened, { timeoutMs: 2000, reason: 'waiting_for_callback' })
      await clock.advance(7)
      const early = await suspended(opened, { timeoutMs: 1000 })
      const list = () => backend.listSuspended(0, undefined, 10)
      expect(await withoutTrace(opened, list)).toEqual({
        items: [
          {
            executionId: early.id,
            reason: 'waiting_for_signal',
            suspendedAtMs: atMs + 7,
            timeoutAtMs: atMs + 1007,
          },
          {
            executionId: late.id,
            reason: 'waiting_for_callback',
            suspendedAtMs: atMs,
            timeoutAtMs: atMs + 2000,
          },
          {
            executionId: never.id,
            reason: 'my_own_word',
            suspendedAtMs: atMs,
            timeoutAtMs: undefined,
          },
        ],
        corrupt: [],
        nextCursor: undefined,
      })
    })

    it.each([1, 7, 100, 299, 300, 301])(
      'walks 300 rows of one deadline, %i at a time (S-W23)',
      async (limit) => {
        const opened = await openSigning(open, { partitions: 1 })
        const ids = await crowd(opened, 300)
        expect(idsOf(await listAll(opened, limit))).toEqual(ids)
      },
    )

    it('skips and repeats nothing while rows leave, the cursor’s too (S-W23, S-C19)', async () => {
      const opened = await openSigning(open, { partitions: 1 })
      const { backend } = opened
      const ids = await crowd(opened, 300)
      const left = new Set<ExecutionId>()
      const rows = await listAll(opened, 20, async (page) => {
        // The row of the cursor leaves, one before it, and one that was still to come.
        const seen = idsOf(page)
        const next = ids[ids.indexOf(seen.at(-1) as ExecutionId) + 3]
        for (const id of [seen.at(-1), seen[4], next]) {
          if (id === undefined || left.has(id)) continue
          left.add(id)
          await backend.resumeExecution(id)
        }
      })
      const shown = idsOf(rows)
      expect(new Set(shown).size).toBe(shown.length)
      expect(shown).toEqual([...shown].sort())
      // Whoever stayed to the end was shown.
      expect(ids.filter((id) => !left.has(id) && !shown.includes(id))).toEqual([])
      const rest = ids.filter((id) => !left.has(id))
      expect(idsOf(await listAll(opened, 1000))).toEqual(rest)
    })

    it('goes on behind a cursor whose row escalated to the end', async () => {
      const opened = await openSigning(open, { partitions: 1 })
      const { backend, clock } = opened
      const plan = { onTimeout: 'escalate' } as const
      const first = await suspended(opened, { ...plan, timeoutMs: 1000 })
      const second = await suspended(opened, { ...plan, timeoutMs: 2000 })
      const page = await backend.listSuspended(0, undefined, 1)
      expect(idsOf(page.items)).toEqual([first.id])
      await clock.advance(1000)
      await sweepAll(backend)
      const rest = await backend.listSuspended(0, page.nextCursor, 10)
      expect(idsOf(rest.items)).toEqual([second.id, first.id])
    })

    it('takes any number of rows, and at most 1000 at a time', async () => {
      const opened = await openSigning(open, { partitions: 1 })
      const { backend } = opened
      await suspended(opened)
      expect(await backend.listSuspended(0, undefined, 0)).toEqual({
        items: [],
        corrupt: [],
        nextCursor: undefined,
      })
      expect((await backend.listSuspended(0, undefined, 1_000_000)).items).toHaveLength(1)
      for (const limit of [-1, 0.5, Number.NaN]) {
        await refusal(backend.listSuspended(0, undefined, limit), 'invalid_input')
      }
    })

    it.each(['', 'nonsense', '5', ':', '5:nonsense', '-1:0-00000000000000000000000000', 'x:y'])(
      'refuses the cursor "%s"',
      async (cursor) => {
        const { backend } = await openSigning(open)
        await refusal(backend.listSuspended(0, cursor, 5), 'invalid_input', { argument: 'cursor' })
      },
    )

    it('refuses a partition that is not there', async () => {
      const { backend } = await openSigning(open, { partitions: 1 })
      for (const partition of [1, -1, 0.5]) {
        await refusal(backend.listSuspended(partition, undefined, 5), 'invalid_input')
      }
    })
  })
}
