// The fence: in which order a worker's call is checked, and that only the holder gets through.
import { describe, expect, it } from 'vitest'
import type { EngineBackend, Handle } from '../../src/persistence/backend.ts'
import type { Open, OpenedBackend } from '../support/backends.ts'
import {
  bytes,
  claimIds,
  claimOne,
  describeOne,
  forged,
  frame,
  refusal,
  refusedWithoutTrace,
  stateOf,
  submitAndClaim,
} from '../support/executions.ts'
import { bring } from '../support/leaves.ts'

/** Every call that a worker makes under its lease. */
const calls: Readonly<
  Record<string, (backend: EngineBackend, handle: Handle) => Promise<unknown>>
> = {
  renew: (backend, handle) => backend.renew(handle),
  progress: (backend, handle) => backend.progress(handle, 50, 'half'),
  complete: (backend, handle) => backend.complete(handle, bytes('result')),
  fail: (backend, handle) => backend.fail(handle, { message: 'oops' }, 'permanent'),
  cancel: (backend, handle) => backend.cancel(handle, 'no need'),
  delay: (backend, handle) => backend.delay(handle, 0),
  appendFrame: (backend, handle) => backend.appendFrame(handle, frame('text')),
  'appendFrame to the summary': (backend, handle) =>
    backend.appendFrame(handle, { ...frame('{}'), mode: 'summary' }),
}

const everyCall = Object.entries(calls)

/** Calls with a wrong argument; renew has none that could be. */
const badCalls: Readonly<typeof calls> = {
  progress: (backend, handle) => backend.progress(handle, 101),
  complete: (backend, handle) => backend.complete(handle, new Uint8Array(1_048_577)),
  fail: (backend, handle) => backend.fail(handle, { message: 'oops' }, 'unknown' as 'transient'),
  cancel: (backend, handle) => backend.cancel(handle, 'x'.repeat(2049)),
  delay: (backend, handle) => backend.delay(handle, -1),
  appendFrame: (backend, handle) => backend.appendFrame(handle, frame('x'.repeat(65_537))),
}

type Trouble = (opened: OpenedBackend) => Promise<Handle>

const leaseMs = 1000

const superseded: Readonly<Record<string, Trouble>> = {
  'is held': async (opened) => (await supersededOnce(opened)).old,
  'is expired itself': async (opened) => {
    const { old } = await supersededOnce(opened)
    await opened.clock.advance(leaseMs)
    await refusal(opened.backend.renew(old), 'stale_lease')
    return old
  },
  'has run out without anybody noticing': async (opened) => {
    const { old } = await supersededOnce(opened)
    await opened.clock.advance(leaseMs)
    return old
  },
  'is revoked itself': async (opened) => {
    const { old, id } = await supersededOnce(opened)
    await opened.backend.revokeLease(id)
    return old
  },
}

async function supersededOnce({ backend }: OpenedBackend) {
  const { executionId: id, handle: old } = await submitAndClaim(backend, {}, { leaseMs })
  await backend.revokeLease(id)
  await claimOne(backend, { leaseMs, worker: 'successor' })
  return { id, old }
}

export function describeFence(open: Open): void {
  describe.each(everyCall)('the fence of %s', (name, call) => {
    it('lets the holder of the lease through until the last millisecond', async () => {
      const { backend, clock } = await open()
      const { handle } = await submitAndClaim(backend, {}, { leaseMs })
      await clock.advance(leaseMs - 1)
      await call(backend, handle)
    })

    it('lets a handle through that was stored as JSON', async () => {
      const { backend } = await open()
      const { handle } = await submitAndClaim(backend)
      await call(backend, JSON.parse(JSON.stringify(handle)) as Handle)
    })

    const wrong = badCalls[name]
    if (wrong !== undefined) {
      it('looks at the arguments before anything else', async () => {
        const opened = await open()
        const { backend, clock } = opened
        const { executionId, handle } = await submitAndClaim(backend, {}, { leaseMs })
        await clock.advance(leaseMs)
        const bad = () => wrong(backend, handle)
        await refusedWithoutTrace(opened, bad, 'invalid_input')
        await backend.cancelExecution(executionId, 'over')
        await refusedWithoutTrace(opened, bad, 'invalid_input')
        await backend.purgeExecution(executionId)
        await refusedWithoutTrace(opened, bad, 'invalid_input')
      })
    }

    it('does not find an execution that is gone', async () => {
      const opened = await open()
      const { backend } = opened
      const { executionId, handle } = await submitAndClaim(backend)
      await backend.cancelExecution(executionId, 'over')
      await backend.purgeExecution(executionId)
      await refusedWithoutTrace(opened, () => call(backend, handle), 'execution_not_found')
    })

    it('tells where an execution is that is not under a lease', async () => {
      const opened = await open()
      const { backend } = opened
      const { executionId, handle, epoch } = await submitAndClaim(backend)
      await backend.cancelExecution(executionId, 'over')
      await refusedWithoutTrace(opened, () => call(backend, handle), 'execution_not_active', {
        state: 'terminal.cancelled',
        epoch: String(epoch),
        attempt: '0',
        reason: 'cancelled_by_operator',
      })
    })

    it.each(Object.entries(superseded))(
      'tells a superseded worker so while the newer lease %s (W32)',
      async (_how, trouble) => {
        const opened = await open()
        const handle = await trouble(opened)
        await refusal(call(opened.backend, handle), 'stale_lease', { attempt: '1' })
        await refusedWithoutTrace(opened, () => call(opened.backend, handle), 'stale_lease')
      },
    )

    it('tells a superseded worker where the work is once the newer lease is over', async () => {
      const opened = await open()
      const { old } = await supersededOnce(opened)
      const { backend } = opened
      await opened.clock.advance(leaseMs)
      const newest = await claimOne(backend)
      await backend.complete(newest.handle)
      await refusedWithoutTrace(opened, () => call(backend, old), 'execution_not_active', {
        state: 'terminal.completed',
        epoch: String(newest.epoch),
        attempt: '2',
      })
    })

    it('tells the holder that its lease was revoked, also past the end of the lease', async () => {
      const opened = await open()
      const { backend, clock } = opened
      const { executionId, handle } = await submitAndClaim(backend, {}, { leaseMs })
      await backend.revokeLease(executionId)
      await refusedWithoutTrace(opened, () => call(backend, handle), 'lease_revoked')
      await clock.advance(leaseMs)
      await refusedWithoutTrace(opened, () => call(backend, handle), 'lease_revoked')
      expect(await claimIds(backend)).toEqual([executionId])
    })

    it('tells the holder that its lease ran out, and lets the work be claimed then', async () => {
      const opened = await open()
      const { backend, clock } = opened
      const { executionId, handle } = await submitAndClaim(backend, {}, { leaseMs })
      await clock.advance(leaseMs)
      await refusal(call(backend, handle), 'lease_expired')
      expect(await stateOf(backend, executionId)).toBe('leased.expired')
      await refusedWithoutTrace(opened, () => call(backend, handle), 'lease_expired')
      expect(await claimIds(backend)).toEqual([executionId])
    })

    it.each(['attempt', 'leaseId', 'epoch'] as const)(
      'compares the %s too (W33, W34, W35)',
      async (part) => {
        const opened = await open()
        const { backend } = opened
        const { handle, attempt, epoch } = await submitAndClaim(backend)
        const wrong = {
          attempt: [attempt + 1],
          leaseId: ['guess.1'],
          epoch: [epoch - 1, epoch + 1],
        }
        for (const value of wrong[part]) {
          const other = forged(handle, part, value)
          await refusedWithoutTrace(opened, () => call(backend, other), 'stale_lease')
        }
      },
    )

    it('does not take the lease of one execution for another', async () => {
      const opened = await open()
      const { backend } = opened
      const { handle } = await submitAndClaim(backend)
      const other = await submitAndClaim(backend)
      const mixed = forged(handle, 'executionId', other.executionId)
      await refusedWithoutTrace(opened, () => call(backend, mixed), 'stale_lease')
    })

    it('takes no handle of suspended work', async () => {
      const opened = await open()
      const { handle } = await submitAndClaim(opened.backend)
      const suspended: Handle = { ...handle, kind: 'suspended' }
      await refusedWithoutTrace(opened, () => call(opened.backend, suspended), 'stale_lease')
    })

    it('takes no handle that another backend issued', async () => {
      const opened = await open()
      const { backend } = opened
      const { handle } = await submitAndClaim(backend)
      const foreign: Handle = {
        ...handle,
        backend: backend.kind === 'valkey' ? 'embedded' : 'valkey',
      }
      await refusedWithoutTrace(opened, () => call(backend, foreign), 'handle_from_other_backend', {
        expected: backend.kind,
        given: foreign.backend,
      })
    })

    it('takes nothing for a handle that is none, least of all nothing (W14)', async () => {
      const opened = await open()
      const { backend } = opened
      const { handle } = await submitAndClaim(backend)
      const [, id, , leaseId, epoch] = handle.opaque.split('|')
      const shapes = [
        '',
        'nonsense',
        `2|${id}|0|${leaseId}|${epoch}`,
        `1|${id}|0|${leaseId}`,
        `1|${id}|0|${leaseId}|${epoch}|more`,
        `1|${id}|0||${epoch}`,
        `1|${id}|-1|${leaseId}|${epoch}`,
        `1|${id}|0|${leaseId}|1e3`,
        `1|${id}|0|${leaseId}|99999999999999999999`,
        `1|nobody|0|${leaseId}|${epoch}`,
        `1|0-short|0|${leaseId}|${epoch}`,
      ].map((opaque) => ({ ...handle, opaque }))
      for (const shape of [...shapes, {}, null, undefined, 'text', 7]) {
        const broken = shape as unknown as Handle
        await refusedWithoutTrace(opened, () => call(backend, broken), 'invalid_handle')
      }
    })
  })

  describe('the fence', () => {
    it.each(everyCall)('keeps a call of %s off blocked work', async (_name, call) => {
      const opened = await open()
      const { backend } = opened
      const { executionId, handle } = await submitAndClaim(backend)
      await backend.delay(handle, 10)
      await backend.blockExecution(executionId, 'reason')
      const error = await call(backend, handle).catch((thrown: unknown) => thrown)
      if (call === calls.delay) expect(error).toMatchObject({ code: 'already_settled' })
      expect(await stateOf(backend, executionId)).toBe('runnable.blocked')
    })

    it.each(everyCall)(
      'does not advise to repeat %s when it is refused (W44)',
      async (_name, call) => {
        const opened = await open()
        const { backend } = opened
        const refusals = [
          ['lease_expired', (await bring(opened, 'leased.expired')).handle],
          ['lease_revoked', (await bring(opened, 'leased.revoked')).handle],
          ['execution_not_active', (await bring(opened, 'terminal.expired')).handle],
          ['stale_lease', (await supersededOnce(opened)).old],
        ] as const
        for (const [code, handle] of refusals) {
          const error = await refusal(call(backend, handle as Handle), code)
          expect([code, error.retryable]).toEqual([code, false])
        }
      },
    )

    it('checks the attempt and the expiry of a worker that cancels (W13)', async () => {
      const opened = await open()
      const { handle } = await bring(opened, 'leased.expired')
      await refusal(opened.backend.cancel(handle as Handle, 'over'), 'lease_expired')
      const held = await bring(opened, 'leased.held')
      const other = forged(held.handle as Handle, 'attempt', 1)
      await refusal(opened.backend.cancel(other, 'over'), 'stale_lease')
    })

    it('keeps the progress of the holder when a stale worker reports its own (W33)', async () => {
      const opened = await open()
      const { old, id } = await supersededOnce(opened)
      await refusal(opened.backend.progress(old, 99, 'stale'), 'stale_lease')
      expect((await describeOne(opened.backend, id)).progress).toEqual({
        percent: undefined,
        message: undefined,
      })
    })
  })
}
