// Giving a lease back: once, however often the same call is repeated.
import { describe, expect, it } from 'vitest'
import type { EngineBackend, Handle } from '../../src/persistence/backend.ts'
import type { Open } from '../support/backends.ts'
import {
  bytes,
  claimOne,
  describeOne,
  refusal,
  refusedWithoutTrace,
  stateOf,
  submitAndClaim,
  withoutTrace,
} from '../support/executions.ts'

interface Settle {
  readonly operation: string
  call(backend: EngineBackend, handle: Handle): Promise<{ readonly replayed: boolean }>
  /** The same operation with other arguments. */
  readonly others: readonly ((backend: EngineBackend, handle: Handle) => Promise<unknown>)[]
  readonly outcome: Readonly<Record<string, unknown>>
  readonly leaf: string
}

/** Fixed, so that a repetition after time has passed asks for the same. */
const parkedUntilMs = 2_000_000_500_000
const retryDelayMs = 700_000

const settles: readonly Settle[] = [
  {
    operation: 'complete',
    call: (backend, handle) => backend.complete(handle, bytes('result')),
    others: [
      (backend, handle) => backend.complete(handle, bytes('another')),
      (backend, handle) => backend.complete(handle, bytes('')),
      (backend, handle) => backend.complete(handle),
    ],
    outcome: { outcome: 'completed' },
    leaf: 'terminal.completed',
  },
  {
    operation: 'fail',
    call: (backend, handle) => backend.fail(handle, { message: 'oops' }, 'transient'),
    others: [
      (backend, handle) => backend.fail(handle, { message: 'other' }, 'transient'),
      (backend, handle) => backend.fail(handle, { message: 'oops' }, 'permanent'),
      (backend, handle) =>
        backend.fail(handle, { message: 'oops', detail: bytes('more') }, 'transient'),
    ],
    outcome: { outcome: 'retry_scheduled', retryAtMs: 2_000_000_000_000 + retryDelayMs },
    leaf: 'delayed.retry',
  },
  {
    operation: 'cancel',
    call: (backend, handle) => backend.cancel(handle, 'no need'),
    others: [(backend, handle) => backend.cancel(handle, 'other')],
    outcome: { outcome: 'cancelled' },
    leaf: 'terminal.cancelled',
  },
  {
    operation: 'delay',
    call: (backend, handle) => backend.delay(handle, parkedUntilMs),
    others: [(backend, handle) => backend.delay(handle, parkedUntilMs + 1)],
    outcome: { outcome: 'delayed' },
    leaf: 'delayed.parked',
  },
]

const retry = { attempts: 5, delayMs: retryDelayMs, maxDelayMs: retryDelayMs }

export function describeSettleReplay(open: Open): void {
  describe.each(settles)('$operation', ({ operation, call, others, outcome, leaf }) => {
    const settleOnce = async () => {
      const opened = await open()
      const claimed = await submitAndClaim(opened.backend, { retry })
      const first = await call(opened.backend, claimed.handle)
      return { opened, first, ...claimed, id: claimed.executionId, backend: opened.backend }
    }

    it('gives the lease back', async () => {
      const { backend, first, id } = await settleOnce()
      expect(first).toEqual({ ...outcome, replayed: false })
      expect(await describeOne(backend, id)).toMatchObject({ state: leaf, currentLease: undefined })
    })

    it('is answered alike when it is repeated, and changes nothing (W7)', async () => {
      const { opened, backend, handle } = await settleOnce()
      for (let round = 0; round < 3; round++) {
        const again = await withoutTrace(opened, () => call(backend, handle))
        expect(again).toEqual({ ...outcome, replayed: true })
      }
    })

    it('is answered alike through another connection, from a handle that was stored', async () => {
      const { opened, handle } = await settleOnce()
      const { backend } = await opened.peer()
      const stored = JSON.parse(JSON.stringify(handle)) as Handle
      const again = await withoutTrace(opened, () => call(backend, stored))
      expect(again).toEqual({ ...outcome, replayed: true })
    })

    it('is answered alike when it was sent twice at once', async () => {
      const { backend } = await open()
      const { handle } = await submitAndClaim(backend, { retry })
      const both = await Promise.all([call(backend, handle), call(backend, handle)])
      expect(both).toEqual([
        { ...outcome, replayed: false },
        { ...outcome, replayed: true },
      ])
    })

    it('is answered alike as long as no newer lease exists, whatever happens', async () => {
      const { opened, backend, handle, id } = await settleOnce()
      await opened.clock.advance(3_600_000)
      await backend.sweep(Number(id.split('-')[0]))
      expect(await call(backend, handle)).toEqual({ ...outcome, replayed: true })
      await backend.cancelExecution(id, 'over').catch(() => undefined)
      expect(await call(backend, handle)).toEqual({ ...outcome, replayed: true })
      await backend.replayExecution(id)
      expect(await call(backend, handle)).toEqual({ ...outcome, replayed: true })
      expect(await stateOf(backend, id)).toMatch(/^runnable\./)
    })

    it('is refused with other arguments, and told what was recorded', async () => {
      const { opened, backend, handle } = await settleOnce()
      for (const other of others) {
        const details = { operation }
        await refusedWithoutTrace(opened, () => other(backend, handle), 'already_settled', details)
      }
    })

    it.each(settles.filter((other) => other.operation !== operation))(
      'stands against a later $operation with the same lease',
      async (other) => {
        const { opened, backend, handle } = await settleOnce()
        const later = () => other.call(backend, handle)
        await refusedWithoutTrace(opened, later, 'already_settled', { operation })
      },
    )

    it('leaves nothing to renew and nothing to report progress on', async () => {
      const { opened, backend, handle } = await settleOnce()
      const details = { state: leaf }
      const renew = () => backend.renew(handle)
      const progress = () => backend.progress(handle, 1)
      await refusedWithoutTrace(opened, renew, 'execution_not_active', details)
      await refusedWithoutTrace(opened, progress, 'execution_not_active', details)
    })

    it('leaves nothing to revoke', async () => {
      const { opened, backend, id } = await settleOnce()
      await refusedWithoutTrace(opened, () => backend.revokeLease(id), 'execution_not_active')
    })

    it.each(['held', 'expired', 'revoked'])(
      'is stale once a newer lease exists, also while that one is %s',
      async (how) => {
        const { opened, backend, handle, id } = await settleOnce()
        await backend.replayExecution(id).catch(() => undefined)
        await opened.clock.advance(retryDelayMs)
        const newer = await claimOne(backend)
        if (how === 'expired') await opened.clock.advance(newer.leaseMs)
        if (how === 'revoked') await backend.revokeLease(id)
        await refusal(call(backend, handle), 'stale_lease')
        await refusedWithoutTrace(opened, () => call(backend, handle), 'stale_lease')
      },
    )

    it('is not recognised once the execution is purged', async () => {
      const { opened, backend, handle, id } = await settleOnce()
      await backend.cancelExecution(id, 'over').catch(() => undefined)
      await backend.purgeExecution(id)
      await refusedWithoutTrace(opened, () => call(backend, handle), 'execution_not_found')
    })

    it('is not taken for the settle of a lease that it never was', async () => {
      const { backend } = await open()
      const { executionId, handle } = await submitAndClaim(backend, { retry })
      await backend.cancelExecution(executionId, 'over')
      await refusal(call(backend, handle), 'execution_not_active', {
        reason: 'cancelled_by_operator',
      })
    })
  })

  describe('fail', () => {
    it('keeps its decision when it is repeated, whatever the dice say (W7)', async () => {
      const opened = await open()
      const { backend } = opened
      const { handle } = await submitAndClaim(backend, { retry: { ...retry, jitter: true } })
      const fail = () => backend.fail(handle, { message: 'oops' }, 'transient')
      const first = await fail()
      for (let round = 0; round < 10; round++) {
        expect(await withoutTrace(opened, fail)).toEqual({ ...first, replayed: true })
      }
    })

    it('stays final when it is repeated', async () => {
      const opened = await open()
      const { backend } = opened
      const { handle } = await submitAndClaim(backend)
      const fail = () => backend.fail(handle, { message: 'oops' }, 'transient')
      expect(await fail()).toEqual({ outcome: 'failed', replayed: false })
      expect(await withoutTrace(opened, fail)).toEqual({ outcome: 'failed', replayed: true })
    })

    it('is not taken for scheduled because the work was parked (W7)', async () => {
      const { backend } = await open()
      const { handle } = await submitAndClaim(backend, { retry })
      await backend.delay(handle, parkedUntilMs)
      await refusal(backend.fail(handle, { message: 'oops' }, 'transient'), 'already_settled', {
        operation: 'delay',
      })
    })
  })
}
