// Fair turns: among the ready work of a lane, keys take turns, whatever the backlog of each.
import { describe, expect, it } from 'vitest'
import type { Open, OpenedBackend } from '../support/backends.ts'
import { createBudget } from '../support/budgets.ts'
import { claimAll, claimIds, claimOne, submit, submitAndClaim } from '../support/executions.ts'

export function describeTurns(open: Open): void {
  const prepared = async () => {
    const opened = await open({ partitions: 1 })
    const { backend } = opened
    const names = new Map<string, string>()
    /** One execution for each letter; a dot stands for work without a key. */
    const add = async (letters: string, overrides = {}) => {
      const ids = []
      for (const letter of letters) {
        const fairnessKey = letter === '.' ? undefined : letter
        const id = await submit(backend, { ...overrides, fairnessKey })
        names.set(id, letter)
        ids.push(id)
      }
      return ids
    }
    const nameAll = (ids: readonly string[]) => ids.map((id) => names.get(id)).join('')
    const take = async (count: number, overrides = {}) =>
      nameAll(await claimIds(backend, { count, ...overrides }))
    return { ...opened, add, take }
  }

  /** What is stored besides records, the listing and the feed. */
  const keysOf = async ({ dump }: Pick<OpenedBackend, 'dump'>) =>
    [...(await dump()).keys()].filter((key) => /turns:|ready:|routes:/.test(key))

  describe('keys of ready work', () => {
    it('take turns one by one', async () => {
      const { add, take } = await prepared()
      await add('aaaabbc')
      const order = []
      for (let round = 0; round < 7; round++) order.push(await take(1))
      expect(order.join('')).toBe('abcabaa')
    })

    it('take turns within one claim, and fill it', async () => {
      const { add, take } = await prepared()
      await add('aaaaaaaab')
      expect(await take(4)).toBe('abaa')
      await add('ccb')
      expect(await take(100)).toBe('acbacaaa')
    })

    it('are not held up by the backlog of another', async () => {
      const { backend, add, take } = await prepared()
      const many = Array.from({ length: 1000 }, () => submit(backend, { fairnessKey: 'a' }))
      await Promise.all(many)
      await add('b')
      expect((await take(2)).includes('b')).toBe(true)
    })

    it('take turns with the work that has none', async () => {
      const { add, take } = await prepared()
      await add('....aa')
      expect(await take(6)).toBe('.a.a..')
      await add('..')
      expect(await take(2)).toBe('..')
    })

    it('keep priority and age among their own', async () => {
      const { backend, clock } = await prepared()
      const ids = []
      for (const priority of [0, 1, 0, 2]) {
        ids.push(await submit(backend, { fairnessKey: 'a', priority }))
        await clock.advance(1)
      }
      expect(await claimIds(backend)).toEqual([ids[3], ids[1], ids[0], ids[2]])
    })

    it('keep their turn when priorities change', async () => {
      const { backend, add, take } = await prepared()
      const [, second] = await add('aab')
      await backend.changePriority(second as string, 5)
      const claimed = await claimOne(backend)
      expect(claimed.executionId).toBe(second)
      expect(await take(2)).toBe('ba')
    })

    it('go to the end when they come back', async () => {
      const { add, take } = await prepared()
      await add('abb')
      expect(await take(1)).toBe('a')
      await add('a')
      expect(await take(3)).toBe('bab')
    })

    it('are forgotten without work', async () => {
      const { backend, add, take, dump } = await prepared()
      const ids = await add('ab')
      expect(await take(1)).toBe('a')
      await backend.cancelExecution(ids[1] as string, 'no need')
      expect(await keysOf({ dump })).toEqual([])
      await add('a', { capabilities: ['gpu'] })
      expect(await take(1, { capabilities: ['gpu'] })).toBe('a')
      expect(await take(1, { capabilities: ['gpu'] })).toBe('')
      expect(await keysOf({ dump })).toEqual([])
    })

    it('take turns in each route of their lane', async () => {
      const { add, take } = await prepared()
      await add('aab', { capabilities: ['gpu'] })
      await add('aac')
      expect(await take(9)).toBe('aca')
      expect(await take(9, { capabilities: ['gpu', 'x'] })).toBe('aba')
    })

    it('do not hide older interrupted work', async () => {
      const { backend, add, take, clock } = await prepared()
      await add('.')
      const { handle } = await claimOne(backend)
      await backend.delay(handle, clock.nowMs())
      await clock.advance(1)
      await add('a')
      expect(await take(2)).toBe('.a')
    })

    it('are left out while their work is granted to somebody', async () => {
      const { backend, add, take, clock } = await prepared()
      const [first] = await add('aab')
      await backend.issueClaimGrant(first as string, { worker: 'worker', grantMs: 100 })
      expect(await take(9)).toBe('ab')
      await clock.advance(100)
      expect(await take(9)).toBe('a')
    })

    it('do not hide other work when the last of theirs is put aside', async () => {
      const { backend, add, take } = await prepared()
      await backend.setLimit('one', { concurrency: 1 })
      await add('.', { limit: 'one' })
      expect(await take(1)).toBe('.')
      await add('.a', { limit: 'one' })
      await add('.')
      expect(await take(2)).toBe('.')
    })

    it('are found when they begin to take turns within the claim', async () => {
      const { backend, add, take } = await prepared()
      await backend.setLimit('one', { concurrency: 1 })
      const budget = await createBudget(backend, { dimensions: { tokens: { hard: 1 } } })
      await add('.', { limit: 'one' })
      const holder = await claimOne(backend)
      await add('.', { limit: 'one', budgets: [budget], priority: 1 })
      await add('a', { limit: 'one' })
      expect(await take(2)).toBe('')
      await backend.complete(holder.handle)
      const spender = await submitAndClaim(backend, { lane: 'other' }, { lane: 'other' })
      await backend.changeBudget(budget, { onHardLimit: 'withhold' })
      await backend.reportUsage(spender.handle, budget, { custom: { tokens: 1 } })
      // The budget keeps the first back, whose slot goes to the one with a key.
      expect(await take(2)).toBe('a')
    })

    it('are words of any letters', async () => {
      const { backend } = await open({ partitions: 1 })
      for (const fairnessKey of ['ü', 'a:b', '__proto__']) await submit(backend, { fairnessKey })
      expect(await claimAll(backend)).toHaveLength(3)
    })
  })
}
