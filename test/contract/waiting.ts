// Waiting for work: what wakes a sleeping claim, and what ends its wait.
import { describe, expect, it } from 'vitest'
import type { Open } from '../support/backends.ts'
import {
  type ClaimOverrides,
  claimAll,
  claimIds,
  claimOne,
  submit,
  submitAndClaim,
  sweepAll,
} from '../support/executions.ts'

/** Longer than a test may take: only being woken ends such a wait in time. */
const maxWaitMs = 120_000

export function describeWaiting(open: Open): void {
  describe('a claim that waits', () => {
    it('is answered at once when there is work', async () => {
      const { backend } = await open()
      const id = await submit(backend)
      expect(await claimIds(backend, { maxWaitMs })).toEqual([id])
    })

    it.each(['itself', 'another process'])('is woken by a submission of %s', async (whose) => {
      const opened = await open()
      const other = whose === 'itself' ? opened : await opened.peer()
      const claim = fallAsleep(opened)
      await claim.asleep
      const id = await submit(other.backend)
      expect(await claim.found).toEqual([id])
    })

    it('is woken by every partition', async () => {
      const opened = await open()
      const seen = new Set<string>()
      while (seen.size < opened.backend.partitions.length) {
        const claim = fallAsleep(opened)
        await claim.asleep
        const id = await submit(opened.backend)
        expect(await claim.found).toEqual([id])
        seen.add(id.split('-')[0] ?? '')
      }
    })

    it('is woken for any of its lanes, and for no other', async () => {
      const opened = await open()
      const claim = fallAsleep(opened, { lane: ['a', 'b'] })
      await claim.asleep
      await submit(opened.backend, { lane: 'c' })
      const id = await submit(opened.backend, { lane: 'b' })
      expect(await claim.found).toEqual([id])
    })

    it('is woken when delayed work that it already knew of is due', async () => {
      const opened = await open()
      const id = await submit(opened.backend, { delayMs: 50 })
      const claim = fallAsleep(opened)
      await claim.asleep
      await opened.clock.advance(50)
      expect(await claim.found).toEqual([id])
    })

    it('is woken when work is due that was delayed during its sleep', async () => {
      const opened = await open()
      const claim = fallAsleep(opened)
      await claim.asleep
      const id = await submit((await opened.peer()).backend, { delayMs: 50 })
      await opened.clock.advance(50)
      expect(await claim.found).toEqual([id])
    })

    it('finds its due work also behind hundreds of others that are due (W41)', async () => {
      const { backend, clock } = await open({ partitions: 1 })
      const others = { lane: 'other', delayMs: 10 }
      await Promise.all(Array.from({ length: 300 }, () => submit(backend, others)))
      const id = await submit(backend, { delayMs: 20 })
      await clock.advance(20)
      expect(await claimIds(backend, { maxWaitMs })).toEqual([id])
    })

    it('is woken when the backoff of a retry is over', async () => {
      const opened = await open()
      const { backend, clock } = opened
      const retry = { attempts: 2, delayMs: 50 }
      const { executionId, handle } = await submitAndClaim(backend, { retry })
      const claim = fallAsleep(opened)
      await claim.asleep
      await backend.fail(handle, { message: 'oops' }, 'transient')
      await clock.advance(50)
      expect(await claim.found).toEqual([executionId])
    })

    it('is woken when the lease of another worker runs out (W42)', async () => {
      const opened = await open()
      const { executionId } = await submitAndClaim(opened.backend, {}, { leaseMs: 100 })
      const claim = fallAsleep(opened)
      await claim.asleep
      await opened.clock.advance(100)
      expect(await claim.found).toEqual([executionId])
    })

    it('is woken when a lease runs out that was given during its sleep', async () => {
      const opened = await open()
      const id = await submit(opened.backend)
      const claim = fallAsleep(opened, { kinds: ['reclaimable'] })
      await claim.asleep
      await claimOne((await opened.peer()).backend, { leaseMs: 100 })
      await opened.clock.advance(100)
      expect(await claim.found).toEqual([id])
    })

    it('is woken when the lease of another worker is revoked', async () => {
      const opened = await open()
      const { executionId } = await submitAndClaim(opened.backend)
      const claim = fallAsleep(opened)
      await claim.asleep
      await opened.backend.revokeLease(executionId)
      expect(await claim.found).toEqual([executionId])
    })

    it('is woken when work is handed back, unblocked or replayed', async () => {
      const opened = await open()
      const { backend } = opened
      const handedBack = await submitAndClaim(backend)
      const blocked = await submit(backend)
      await backend.blockExecution(blocked, 'reason')
      const replayed = await submitAndClaim(backend)
      await backend.complete(replayed.handle)
      for (const [id, act] of [
        [handedBack.executionId, () => backend.delay(handedBack.handle, 0)],
        [blocked, () => backend.unblockExecution(blocked, 'reason')],
        [replayed.executionId, () => backend.replayExecution(replayed.executionId)],
      ] as const) {
        const claim = fallAsleep(opened)
        await claim.asleep
        await act()
        expect(await claim.found).toEqual([id])
      }
    })

    it('is woken when a grant lapses that nobody used', async () => {
      const opened = await open()
      const id = await submit(opened.backend)
      await opened.backend.issueClaimGrant(id, { worker: 'other', grantMs: 50 })
      const claim = fallAsleep(opened)
      await claim.asleep
      await opened.clock.advance(50)
      expect(await claim.found).toEqual([id])
    })

    it('is woken when a paused lane is resumed', async () => {
      const opened = await open()
      const { backend } = opened
      await backend.pauseLane('lane')
      const id = await submit(backend)
      const claim = fallAsleep(opened)
      await claim.asleep
      await (await opened.peer()).backend.resumeLane('lane')
      expect(await claim.found).toEqual([id])
    })

    it('is woken by work that needs what it offers', async () => {
      const opened = await open()
      const claim = fallAsleep(opened, { capabilities: ['gpu'] })
      await claim.asleep
      await submit(opened.backend, { capabilities: ['tpu'] })
      const id = await submit(opened.backend, { capabilities: ['gpu'] })
      expect(await claim.found).toEqual([id])
    })

    it('sleeps on when somebody else was quicker', async () => {
      const opened = await open()
      const claims = [fallAsleep(opened), fallAsleep(await opened.peer())]
      await Promise.all(claims.map((claim) => claim.asleep))
      const first = await submit(opened.backend)
      const winner = await Promise.race(claims.map(async (claim, at) => [at, await claim.found]))
      expect(winner[1]).toEqual([first])
      const second = await submit(opened.backend)
      const loser = claims[1 - Number(winner[0])]
      expect(await loser?.found).toEqual([second])
    })

    it('wakes as many sleepers as there is work for', async () => {
      const opened = await open()
      const claims = Array.from({ length: 5 }, () => fallAsleep(opened, { count: 1 }))
      await claims[0]?.asleep
      const ids = await Promise.all(claims.map(() => submit(opened.backend)))
      const found = await Promise.all(claims.map((claim) => claim.found))
      expect(found.flat().sort()).toEqual([...ids].sort())
    })

    it('never misses work that is submitted while it falls asleep', async () => {
      const opened = await open()
      const other = await opened.peer()
      for (let round = 0; round < 150; round++) {
        const found = claimIds(opened.backend, { maxWaitMs })
        // Each round submits a little later, before, between and after the looks of the claim.
        for (let turn = round % 15; turn > 0; turn--) await nextTurn()
        const id = await submit(round % 2 === 0 ? opened.backend : other.backend)
        expect(await found).toEqual([id])
      }
    })

    it('does not ask empty partitions again and again (W52)', async () => {
      const opened = await open()
      const { backend, store } = opened
      const claim = fallAsleep(opened)
      await claim.asleep
      const asked = store.calls.length
      await submit(backend, { lane: 'elsewhere' })
      await sweepAll(backend)
      const id = await submit(backend)
      await claim.found
      const claims = store.calls.slice(asked).filter(({ name }) => name === 'lease.claim')
      expect(claims.map(({ partition }) => partition)).toEqual([Number(id.split('-')[0])])
    })

    it('ends with nothing when its time is over', async () => {
      const { backend } = await open()
      const startedMs = performance.now()
      expect(await claimIds(backend, { maxWaitMs: 150 })).toEqual([])
      const tookMs = performance.now() - startedMs
      expect(tookMs).toBeGreaterThanOrEqual(145)
      expect(tookMs).toBeLessThan(5000)
    })

    it('ends with nothing when its signal fires', async () => {
      const opened = await open()
      const stop = new AbortController()
      const claim = fallAsleep(opened, { signal: stop.signal })
      await claim.asleep
      stop.abort()
      expect(await claim.found).toEqual([])
      const id = await submit(opened.backend)
      expect(await claimIds(opened.backend)).toEqual([id])
    })

    it('does not wait at all when its signal has fired before', async () => {
      const { backend } = await open()
      expect(await claimIds(backend, { maxWaitMs, signal: AbortSignal.abort() })).toEqual([])
    })

    it('is refused like any other claim when its arguments are wrong', async () => {
      const { backend } = await open()
      await expect(claimAll(backend, { maxWaitMs, worker: '' })).rejects.toMatchObject({
        code: 'invalid_input',
      })
    })
  })
}

/** Starts a claim; `asleep` resolves when it has found every partition empty. */
function fallAsleep(
  { backend, store }: Pick<Awaited<ReturnType<Open>>, 'backend' | 'store'>,
  overrides: ClaimOverrides = {},
) {
  const asleep = store.asleep()
  return { asleep, found: claimIds(backend, { maxWaitMs, ...overrides }) }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve))
}
