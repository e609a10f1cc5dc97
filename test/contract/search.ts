// Searching executions: what fits, in steps that can stop and go on anywhere.
import { describe, expect, it } from 'vitest'
import type { ExecutionId } from '../../src/ids.ts'
import type { FoundExecution, SearchFilter } from '../../src/persistence/search-backend.ts'
import type { Open, OpenedBackend } from '../support/backends.ts'
import {
  claimAll,
  claimOne,
  refusal,
  submit,
  submitAndClaim,
  sweepAll,
  withoutTrace,
} from '../support/executions.ts'

/** Walks to the end; `between` runs after each page. */
async function searchAll(
  { backend }: Pick<OpenedBackend, 'backend'>,
  filter: SearchFilter,
  limit = 1000,
  between: () => Promise<void> = async () => undefined,
): Promise<FoundExecution[]> {
  const found: FoundExecution[] = []
  let cursor: string | undefined
  do {
    const page = await backend.searchExecutions(filter, cursor, limit)
    expect(page.items.length).toBeLessThanOrEqual(limit)
    expect(page.corrupt).toEqual([])
    found.push(...page.items)
    cursor = page.nextCursor
    await between()
  } while (cursor !== undefined)
  return found
}

async function idsOf(opened: OpenedBackend, filter: SearchFilter, limit?: number) {
  const found = await searchAll(opened, filter, limit)
  return found.map(({ executionId }) => executionId).sort()
}

const many = (backend: OpenedBackend['backend'], count: number, overrides = {}) =>
  Promise.all(Array.from({ length: count }, () => submit(backend, overrides)))

export function describeSearch(open: Open): void {
  describe('searchExecutions', () => {
    it('shows what is known of an execution, and writes nothing', async () => {
      const opened = await open()
      const { backend, clock } = opened
      const createdAtMs = clock.nowMs()
      const { executionId, handle } = await submitAndClaim(backend, { tags: { a: '1' } })
      await clock.advance(7)
      await backend.fail(handle, { message: 'no' }, 'permanent')
      const filter = { tag: { name: 'a' } }
      const search = () => searchAll(opened, filter)
      expect(await withoutTrace(opened, search)).toEqual([
        {
          executionId,
          lane: 'lane',
          task: 'task',
          state: 'terminal.failed',
          publicState: 'failed',
          createdAtMs,
          updatedAtMs: createdAtMs + 7,
          endedAtMs: createdAtMs + 7,
          totalAttempts: 1,
          reason: 'failed',
          flow: undefined,
        },
      ])
    })

    it('finds by lane, by task, and by both', async () => {
      const opened = await open()
      const { backend } = opened
      const a = await submit(backend, { lane: 'a', task: 'x' })
      const b = await submit(backend, { lane: 'b', task: 'x' })
      const c = await submit(backend, { lane: 'a', task: 'y' })
      expect(await idsOf(opened, {})).toEqual([a, b, c].sort())
      expect(await idsOf(opened, { lane: 'a' })).toEqual([a, c].sort())
      expect(await idsOf(opened, { task: 'x' })).toEqual([a, b].sort())
      expect(await idsOf(opened, { lane: 'a', task: 'y' })).toEqual([c])
      expect(await idsOf(opened, { lane: 'nowhere' })).toEqual([])
    })

    it('finds by what people see, and by the leaf', async () => {
      const opened = await open()
      const { backend } = opened
      const revoked = await submitAndClaim(backend)
      await backend.revokeLease(revoked.executionId)
      const held = await submitAndClaim(backend, { lane: 'other' })
      const waiting = await submit(backend)
      const delayed = await submit(backend, { delayMs: 1000 })
      const both = [revoked.executionId, held.executionId].sort()
      expect(await idsOf(opened, { state: 'active' })).toEqual(both)
      expect(await idsOf(opened, { state: 'leased.held' })).toEqual([held.executionId])
      expect(await idsOf(opened, { state: 'waiting' })).toEqual([waiting])
      expect(await idsOf(opened, { state: 'delayed' })).toEqual([delayed])
      expect(await idsOf(opened, { state: 'delayed.retry' })).toEqual([])
    })

    it('finds by the time of creation: from one time on, before another', async () => {
      const opened = await open()
      const { backend, clock } = opened
      const atMs = clock.nowMs()
      const first = await submit(backend)
      await clock.advance(10)
      const second = await submit(backend)
      expect(await idsOf(opened, { createdAfterMs: atMs + 1 })).toEqual([second])
      expect(await idsOf(opened, { createdAfterMs: atMs + 10 })).toEqual([second])
      expect(await idsOf(opened, { createdBeforeMs: atMs + 10 })).toEqual([first])
      const window = { createdAfterMs: atMs, createdBeforeMs: atMs + 11 }
      expect(await idsOf(opened, window)).toEqual([first, second].sort())
      expect(await idsOf(opened, { createdAfterMs: atMs + 11 })).toEqual([])
    })

    it('finds by a tag, with its value and without', async () => {
      const opened = await open()
      const { backend } = opened
      const odd = 'ü, "1"\n'
      const one = await submit(backend, { tags: { customer: '1', kind: odd } })
      const two = await submit(backend, { tags: { customer: '2' } })
      await submit(backend, { tags: { custom: 'er1' } })
      await submit(backend)
      expect(await idsOf(opened, { tag: { name: 'customer', value: '1' } })).toEqual([one])
      expect(await idsOf(opened, { tag: { name: 'customer' } })).toEqual([one, two].sort())
      expect(await idsOf(opened, { tag: { name: 'kind', value: odd } })).toEqual([one])
      expect(await idsOf(opened, { tag: { name: 'kind', value: '' } })).toEqual([])
      expect(await idsOf(opened, { tag: { name: 'nothing' } })).toEqual([])
      const both = { tag: { name: 'customer', value: '2' }, state: 'active' } as const
      expect(await idsOf(opened, both)).toEqual([])
      await claimOne(backend, { count: 1 })
      await claimAll(backend)
      expect(await idsOf(opened, both)).toEqual([two])
    })

    it('forgets what was purged, by operators and by the clock', async () => {
      const opened = await open()
      const { backend, clock } = opened
      const tag = { name: 'a', value: '1' }
      const empty = await opened.dump()
      const ids = await many(backend, 2, { tags: { a: '1' }, retentionMs: 1000 })
      for (const id of ids) await backend.cancelExecution(id, 'why')
      await backend.purgeExecution(ids[0] as ExecutionId)
      expect(await idsOf(opened, { tag })).toEqual([ids[1]])
      await clock.advance(1000)
      await sweepAll(backend)
      expect(await idsOf(opened, { tag })).toEqual([])
      expect(await idsOf(opened, {})).toEqual([])
      const left = [...(await opened.dump()).keys()].filter((key) => !empty.has(key))
      expect(left.filter((key) => /:?tag(ged)?:/.test(key))).toEqual([])
    })

    it('finds what belongs to no flow by no flow', async () => {
      const opened = await open({ partitions: 1 })
      const id = await submit(opened.backend)
      expect(await idsOf(opened, { flow: id })).toEqual([])
      const beyond = `7${id.slice(1)}`
      expect(await idsOf(opened, { flow: beyond })).toEqual([])
    })

    it('looks at a thousand at most, and goes on', async () => {
      const opened = await open({ partitions: 1 })
      const { backend } = opened
      await many(backend, 1200)
      const last = await submit(backend, { lane: 'rare' })
      const page = await backend.searchExecutions({ lane: 'rare' }, undefined, 10)
      expect(page).toMatchObject({ items: [], nextCursor: expect.any(String) })
      const rest = await backend.searchExecutions({ lane: 'rare' }, page.nextCursor, 10)
      expect(rest.items.map(({ executionId }) => executionId)).toEqual([last])
      expect(rest.nextCursor).toBeUndefined()
      // A tag with its value leads there at once.
      const tagged = await submit(backend, { tags: { a: '1' } })
      const tag = { name: 'a', value: '1' }
      expect(await backend.searchExecutions({ tag }, undefined, 10)).toMatchObject({
        items: [{ executionId: tagged }],
        nextCursor: undefined,
      })
    })

    it.each([1, 7, 100, 1000])('walks over all partitions, %i at a time', async (limit) => {
      const opened = await open()
      const ids = await many(opened.backend, 150)
      const found = await searchAll(opened, {}, limit)
      expect(found.map(({ executionId }) => executionId).sort()).toEqual(ids.sort())
    })

    it('shows once what stays, while others come and go', async () => {
      const opened = await open()
      const { backend } = opened
      const staying = await many(backend, 60, { lane: 'a' })
      const leaving = await many(backend, 60, { lane: 'a' })
      for (const id of leaving) await backend.cancelExecution(id, 'why')
      const found = await searchAll(opened, { lane: 'a' }, 7, async () => {
        const id = leaving.shift()
        if (id !== undefined) await backend.purgeExecution(id)
        await submit(backend, { lane: 'a' })
      })
      const shown = found.map(({ executionId }) => executionId)
      expect(new Set(shown).size).toBe(shown.length)
      expect(staying.filter((id) => !shown.includes(id))).toEqual([])
    })

    it('goes on behind a cursor whose execution is gone', async () => {
      const opened = await open({ partitions: 1 })
      const { backend } = opened
      const ids = (await many(backend, 3)).sort()
      const page = await backend.searchExecutions({}, undefined, 1)
      await backend.cancelExecution(ids[0] as ExecutionId, 'why')
      await backend.purgeExecution(ids[0] as ExecutionId)
      const rest = await backend.searchExecutions({}, page.nextCursor, 10)
      expect(rest.items.map(({ executionId }) => executionId)).toEqual(ids.slice(1))
    })

    it('gives no page for a limit of nothing', async () => {
      const { backend } = await open()
      await submit(backend)
      const nothing = { items: [], corrupt: [], nextCursor: undefined }
      expect(await backend.searchExecutions({}, undefined, 0)).toEqual(nothing)
    })

    it.each<[object, string]>([
      [{ stat: 'active' }, 'stat'],
      [{ state: 'asleep' }, 'state'],
      [{ state: 'absent' }, 'state'],
      [{ tag: {} }, 'tag'],
      [{ tag: { name: 'a', value: 1 } }, 'tag'],
      [{ lane: '' }, 'lane'],
      [{ lane: 'two words' }, 'lane'],
      [{ task: 5 }, 'task'],
      [{ createdAfterMs: -1 }, 'createdAfterMs'],
      [{ createdBeforeMs: 'now' }, 'createdBeforeMs'],
      [{ flow: 'mine' }, 'flow'],
    ])('refuses %j', async (filter, argument) => {
      const { backend } = await open()
      await refusal(backend.searchExecutions(filter, undefined, 10), 'invalid_input', { argument })
    })

    it.each(['', '0', 'x:', '99:', '0:short', ':', '-1:'])(
      'refuses the cursor "%s"',
      async (cursor) => {
        const { backend } = await open()
        await refusal(backend.searchExecutions({}, cursor, 10), 'invalid_input', {
          argument: 'cursor',
        })
      },
    )
  })
}
