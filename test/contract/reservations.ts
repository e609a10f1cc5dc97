// Reservations: parts of a budget that are held for work to come.
import { describe, expect, it } from 'vitest'
import type { EngineBackend } from '../../src/persistence/backend.ts'
import type { Open } from '../support/backends.ts'
import { createBudget, statusOf, usedOf } from '../support/budgets.ts'
import { refusal, refusedWithoutTrace, submitAndClaim, sweepAll } from '../support/executions.ts'

const dimensions = { tokens: { hard: 100 } }

async function begin(backend: EngineBackend) {
  const budget = await createBudget(backend, { dimensions })
  const { handle } = await submitAndClaim(backend)
  return {
    budget,
    handle,
    reserve: async (tokens: number, more: { ttlMs?: number; dedupKey?: string } = {}) => {
      const answer = await backend.reserveUsage(handle, budget, { amounts: { tokens }, ...more })
      expect(answer.outcome).toBe('reserved')
      return answer as Extract<typeof answer, { outcome: 'reserved' }>
    },
  }
}

const enforced = (tokens: number, reservationId?: string) =>
  ({ custom: { tokens }, mode: 'enforce', reservationId }) as const

export function describeReservations(open: Open): void {
  describe('a reservation', () => {
    it('may run out with as many others as there can be, of as much', async () => {
      const { backend, clock } = await open()
      const names = Array.from({ length: 8 }, (_, at) => `d${at}`)
      const all = <Value>(value: Value) => Object.fromEntries(names.map((name) => [name, value]))
      const budget = await createBudget(backend, { dimensions: all({ hard: 1000 }) })
      const { handle } = await submitAndClaim(backend)
      const reserve = (amount: number) =>
        backend.reserveUsage(handle, budget, { amounts: all(amount), ttlMs: 1000 })
      await Promise.all(Array.from({ length: 999 }, () => reserve(1)))
      await clock.advance(500)
      await reserve(1)
      await clock.advance(500)
      expect(await reserve(999)).toMatchObject({ outcome: 'reserved' })
    })

    it('holds headroom, up to the hard limit exactly', async () => {
      const { backend, clock } = await open()
      const { budget, handle, reserve } = await begin(backend)
      await backend.reportUsage(handle, budget, { custom: { tokens: 30 } })
      const { expiresAtMs } = await reserve(70, { ttlMs: 500 })
      expect(expiresAtMs).toBe(clock.nowMs() + 500)
      const status = await statusOf(backend, budget)
      expect(status).toMatchObject({ reservations: 1, exhausted: false })
      expect(status.dimensions).toMatchObject([{ used: 30, reserved: 70, remaining: 0 }])
      const more = { amounts: { tokens: 1 } }
      expect(await backend.reserveUsage(handle, budget, more)).toEqual({
        ...{ outcome: 'hard_breach', dimension: 'tokens', currentUsage: 30, limit: 100 },
      })
    })

    it('is respected by reports that keep the limits, and by no others', async () => {
      const { backend } = await open()
      const { budget, handle, reserve } = await begin(backend)
      await reserve(90)
      const refused = await backend.reportUsage(handle, budget, enforced(11))
      expect(refused).toMatchObject({ outcome: 'hard_breach', currentUsage: 0, counted: false })
      expect(await backend.reportUsage(handle, budget, enforced(10))).toEqual({ outcome: 'ok' })
      const spent = await backend.reportUsage(handle, budget, { custom: { tokens: 90 } })
      expect(spent).toEqual({ outcome: 'ok' })
    })

    it('is settled by the report of what was really used', async () => {
      const { backend } = await open()
      const { budget, handle, reserve } = await begin(backend)
      const { reservationId } = await reserve(90)
      await reserve(10)
      expect(await backend.reportUsage(handle, budget, enforced(85, reservationId))).toEqual({
        outcome: 'ok',
      })
      const { dimensions: found, reservations } = await statusOf(backend, budget)
      expect(found).toMatchObject([{ used: 85, reserved: 10, remaining: 5 }])
      expect(reservations).toBe(1)
    })

    it('stays when the report that was to settle it is refused', async () => {
      const { backend } = await open()
      const { budget, handle, reserve } = await begin(backend)
      const { reservationId } = await reserve(60)
      await reserve(40)
      const report = await backend.reportUsage(handle, budget, enforced(61, reservationId))
      expect(report).toMatchObject({ outcome: 'hard_breach', counted: false })
      expect(await statusOf(backend, budget)).toMatchObject({ reservations: 2 })
    })

    it('is given back by a report of nothing', async () => {
      const { backend } = await open()
      const { budget, handle, reserve } = await begin(backend)
      const { reservationId } = await reserve(60)
      await backend.reportUsage(handle, budget, enforced(0, reservationId))
      const { dimensions: found, reservations } = await statusOf(backend, budget)
      expect([found[0]?.reserved, found[0]?.used, reservations]).toEqual([0, 0, 0])
    })

    it('of another execution is not settled', async () => {
      const { backend } = await open()
      const { budget, reserve } = await begin(backend)
      const { reservationId } = await reserve(60)
      const other = await submitAndClaim(backend)
      await backend.reportUsage(other.handle, budget, enforced(5, reservationId))
      expect((await statusOf(backend, budget)).dimensions).toMatchObject([
        { used: 5, reserved: 60 },
      ])
    })

    it('ends by itself, at the millisecond', async () => {
      const { backend, clock } = await open()
      const { budget, handle, reserve } = await begin(backend)
      await reserve(50, { ttlMs: 1000 })
      await reserve(50, { ttlMs: 2000 })
      await clock.advance(999)
      expect(await backend.reportUsage(handle, budget, enforced(1))).toMatchObject({
        outcome: 'hard_breach',
      })
      await clock.advance(1)
      expect(await backend.reportUsage(handle, budget, enforced(50))).toEqual({ outcome: 'ok' })
      await clock.advance(1000)
      await sweepAll(backend)
      expect((await statusOf(backend, budget)).dimensions).toMatchObject([{ reserved: 0 }])
    })

    it('that has ended is no reason to count its report less', async () => {
      const { backend, clock } = await open()
      const { budget, handle, reserve } = await begin(backend)
      const { reservationId } = await reserve(50, { ttlMs: 1000 })
      await clock.advance(1000)
      await backend.reportUsage(handle, budget, { custom: { tokens: 40 }, reservationId })
      expect(await usedOf(backend, budget)).toEqual({ tokens: 40 })
    })

    it('outlives a reset of its budget', async () => {
      const { backend } = await open()
      const { budget, reserve } = await begin(backend)
      await reserve(50)
      await backend.resetBudget(budget)
      expect((await statusOf(backend, budget)).dimensions).toMatchObject([{ reserved: 50 }])
    })

    it('under the same key is the same while it is held', async () => {
      const { backend } = await open()
      const { budget, reserve } = await begin(backend)
      const first = await reserve(50, { dedupKey: 'call' })
      expect(await reserve(60, { dedupKey: 'call' })).toEqual({ ...first, replayed: true })
      expect(await statusOf(backend, budget)).toMatchObject({ reservations: 1 })
    })

    it('needs a budget and the lease', async () => {
      const opened = await open()
      const { backend } = opened
      const { budget, handle } = await begin(backend)
      const amounts = { tokens: 1 }
      await refusedWithoutTrace(
        opened,
        () => backend.reserveUsage(handle, 'none', { amounts }),
        'budget_not_found',
      )
      for (const request of [{ amounts: {} }, { amounts, ttlMs: 0 }, { amounts, ttlMs: 1e12 }]) {
        const call = () => backend.reserveUsage(handle, budget, request)
        await refusedWithoutTrace(opened, call, 'invalid_input')
      }
      await backend.complete(handle)
      await refusal(backend.reserveUsage(handle, budget, { amounts }), 'execution_not_active')
    })

    it('cannot be one of more than a thousand', async () => {
      const { backend } = await open()
      const { budget, handle } = await begin(backend)
      const request = { amounts: { other: 1 } }
      await Promise.all(
        Array.from({ length: 1000 }, () => backend.reserveUsage(handle, budget, request)),
      )
      await refusal(backend.reserveUsage(handle, budget, request), 'reservation_limit_exceeded')
    })
  })
}
