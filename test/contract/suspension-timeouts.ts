// The end of a suspension's time: what was asked for happens, to the millisecond, whoever looks.
import { describe, expect, it } from 'vitest'
import { EngineError } from '../../src/errors.ts'
import type { TimeoutBehaviour } from '../../src/persistence/backend-suspension.ts'
import type { Open, OpenedBackend } from '../support/backends.ts'
import {
  bytes,
  claimIds,
  claimOne,
  describeOne,
  refusal,
  refusedWithoutTrace,
  stateOf,
  sweepAll,
  withoutTrace,
} from '../support/executions.ts'
import {
  openSigning,
  type Suspended,
  send,
  suspendClaimed,
  suspended,
} from '../support/suspensions.ts'

interface Expected {
  readonly state: string
  /** How the suspension is closed; undefined when it stays open. */
  readonly closeReason: string | undefined
  /** What a signal is told afterwards. */
  readonly late: string
}

const auto = {
  state: 'runnable.resumed',
  closeReason: 'timed_out_auto_resume',
  late: 'waitpoint_closed',
} as const

const ended = (state: string, closeReason: string): Expected => ({
  state,
  closeReason,
  late: 'target_not_signalable',
})

const outcomes: Readonly<Record<TimeoutBehaviour, Expected>> = {
  fail: ended('terminal.failed', 'timed_out_fail'),
  cancel: ended('terminal.cancelled', 'timed_out_cancel'),
  expire: ended('terminal.expired', 'timed_out_expire'),
  auto_resume: auto,
  auto_resume_with_signal: auto,
  escalate: {
    state: 'suspended',
    closeReason: undefined,
    late: 'signal_ignored_not_in_condition',
  },
}

const behaviours = Object.entries(outcomes) as [TimeoutBehaviour, Expected][]

/** Who may notice that the time is over. Each answer may be a refusal: the noticing counts. */
const witnesses: Readonly<
  Record<string, (opened: OpenedBackend, suspension: Suspended) => Promise<unknown>>
> = {
  'a sweep': ({ backend }) => sweepAll(backend),
  'a claim of another lane': ({ backend }) => claimIds(backend, { lane: 'other' }),
  'a signal': ({ backend }, { token }) => tolerant(backend.deliverSignal({ token })),
  'the former holder': ({ backend }, { lease }) => tolerant(backend.renew(lease)),
}

async function tolerant(call: Promise<unknown>): Promise<void> {
  await call.catch((error: unknown) => {
    if (!(error instanceof EngineError)) throw error
  })
}

const cases = behaviours.flatMap(([behaviour, expected]) =>
  Object.entries(witnesses).map(([who, look]) => [behaviour, who, look, expected] as const),
)

export function describeSuspensionTimeouts(open: Open): void {
  describe('when the time of a suspension is over', () => {
    it.each(cases)('%s follows, noticed by %s (S-C10, S-W20)', async (...given) => {
      const [onTimeout, who, look, expected] = given
      const opened = await openSigning(open, { partitions: 1 })
      const { backend, clock } = opened
      const suspension = await suspended(opened, { timeoutMs: 1000, onTimeout })
      const { id, token } = suspension
      await clock.advance(999)
      if (who !== 'a signal') {
        await withoutTrace(opened, () => look(opened, suspension))
        expect(await stateOf(backend, id)).toBe('suspended')
      }
      await clock.advance(1)
      const atMs = clock.nowMs()
      // Reading changes nothing: until somebody acts, the old state is shown.
      expect(await stateOf(backend, id)).toBe('suspended')
      await look(opened, suspension)
      expect(await describeOne(backend, id)).toMatchObject({
        state: expected.state,
        updatedAtMs: atMs,
        suspension: {
          closeReason: expected.closeReason,
          closedAtMs: expected.closeReason === undefined ? undefined : atMs,
        },
      })
      if (onTimeout === 'escalate') expect(await send(opened, token)).toBe(expected.late)
      else await refusal(backend.deliverSignal({ token }), expected.late as never)
      await withoutTrace(opened, () => sweepAll(backend))
    })

    it.each(behaviours)('%s closes its waitpoints, or keeps them all', async (...given) => {
      const [onTimeout, { closeReason }] = given
      const opened = await openSigning(open)
      const { backend, clock } = opened
      const { id } = await suspended(opened, {
        waitpoints: [{ key: 'a' }, { key: 'b' }],
        timeoutMs: 1,
        onTimeout,
      })
      await clock.advance(1)
      await sweepAll(backend)
      const { items } = await backend.listWaitpoints(id)
      const state = onTimeout === 'escalate' ? 'active' : 'closed'
      expect(items.map((item) => [item.state, item.closeReason])).toEqual([
        [state, closeReason],
        [state, closeReason],
      ])
      const rows = await listSuspended(opened)
      expect(rows).toHaveLength(onTimeout === 'escalate' ? 1 : 0)
    })

    it('it fails unless something else was asked for', async () => {
      const opened = await openSigning(open)
      const { backend, clock } = opened
      const { id } = await suspended(opened, { timeoutMs: 1000 })
      await clock.advance(1000)
      await sweepAll(backend)
      expect(await describeOne(backend, id)).toMatchObject({
        state: 'terminal.failed',
        reason: 'suspension_timeout',
        endedAtMs: clock.nowMs(),
      })
      expect(await backend.watch(id)).toMatchObject({
        outcome: 'failed',
        reason: 'suspension_timeout',
      })
    })

    it('who waits for the end is told', async () => {
      const opened = await openSigning(open)
      const { backend, clock } = opened
      const { id } = await suspended(opened, { timeoutMs: 1000 })
      let tell = () => {}
      const heard = new Promise<void>((resolve) => {
        tell = resolve
      })
      await backend.onEnded((ended) => {
        if (ended === id) tell()
      })
      expect(await backend.watch(id)).toMatchObject({ outcome: 'pending', state: 'suspended' })
      await clock.advance(1000)
      await sweepAll(backend)
      await heard
    })

    it('a signal at that very millisecond is too late, one before it in time (S-R4)', async () => {
      const opened = await openSigning(open)
      const { backend, clock } = opened
      const first = await suspended(opened, { timeoutMs: 1000, onTimeout: 'auto_resume' })
      await clock.advance(999)
      expect(await send(opened, first.token)).toBe('resume_condition_satisfied')
      expect(await describeOne(backend, first.id)).toMatchObject({
        suspension: { closeReason: 'resumed' },
      })
      const again = await claimOne(backend)
      const second = await suspendClaimed(opened, again, { timeoutMs: 1000 })
      await clock.advance(1000)
      await refusal(backend.deliverSignal({ token: second.token }), 'target_not_signalable')
      expect(await stateOf(backend, first.id)).toBe('terminal.failed')
    })

    it('that was the time of the episode before does nothing to the next', async () => {
      const opened = await openSigning(open)
      const { backend, clock } = opened
      const { token } = await suspended(opened, { timeoutMs: 1000 })
      await clock.advance(500)
      await send(opened, token)
      const { id } = await suspendClaimed(opened, await claimOne(backend))
      await clock.advance(5000)
      await sweepAll(backend)
      expect(await stateOf(backend, id)).toBe('suspended')
    })

    it('a claim takes up at once what resumes by itself', async () => {
      const opened = await openSigning(open)
      const { backend, clock } = opened
      const { id, claimed } = await suspended(opened, { timeoutMs: 1000, onTimeout: 'auto_resume' })
      await clock.advance(1000)
      const again = await claimOne(backend)
      expect(again).toMatchObject({ executionId: id, attempt: 0, handle: { kind: 'resumed' } })
      expect(again.epoch).toBeGreaterThan(claimed.epoch)
      expect(await backend.observeSignals(again.handle)).toEqual([])
    })

    it('a claim that sleeps is woken for it', async () => {
      const opened = await openSigning(open, { partitions: 1 })
      const { backend, clock, store } = opened
      const { id } = await suspended(opened, { timeoutMs: 1000, onTimeout: 'auto_resume' })
      expect(await backend.sweep(0)).toMatchObject({ nextInMs: 1000 })
      const claiming = backend.claim('lane', [], { worker: 'worker', maxWaitMs: 20_000 })
      await store.asleep()
      await clock.advance(1000)
      await backend.sweep(0)
      expect(await claiming).toMatchObject([{ executionId: id }])
    })
  })

  describe('the signal of the engine', () => {
    it('tells a resumed worker that its time was over (S-W11, S-C11)', async () => {
      const opened = await openSigning(open)
      const { backend, clock } = opened
      const { id, token, outcome, waitpoints } = await suspended(opened, {
        timeoutMs: 1000,
        onTimeout: 'auto_resume_with_signal',
        waitpoints: [{ key: 'a' }, { key: 'b' }],
        condition: {
          kind: 'all',
          of: [
            { kind: 'single', waitpoint: 'a' },
            { kind: 'single', waitpoint: 'b' },
          ],
        },
      })
      expect(await send(opened, token, { payload: bytes('half') })).toBe('appended_to_waitpoint')
      await clock.advance(1000)
      const { handle } = await claimOne(backend)
      const observed = await backend.observeSignals(handle)
      expect(observed).toEqual([
        {
          position: 2,
          signalId: `timeout:${outcome.suspensionId}`,
          waitpointId: waitpoints[0]?.waitpointId,
          name: 'timeout',
          category: 'timeout',
          source: 'engine',
          identity: '',
          correlationId: '',
          idempotencyKey: undefined,
          encoding: 'binary',
          acceptedAtMs: clock.nowMs(),
          createdAtMs: undefined,
          effect: 'resume_condition_satisfied',
          payload: undefined,
        },
      ])
      expect((await backend.listSignals(id, 0, 10)).items.map(({ name }) => name)).toEqual([
        'a',
        'timeout',
      ])
    })

    it('is sent once for each suspension', async () => {
      const opened = await openSigning(open)
      const { backend, clock } = opened
      const plan = { timeoutMs: 10, onTimeout: 'auto_resume_with_signal' } as const
      let { id } = await suspended(opened, plan)
      for (let round = 1; round <= 3; round++) {
        await clock.advance(10)
        const claimed = await claimOne(backend)
        expect(await backend.observeSignals(claimed.handle)).toMatchObject([{ position: round }])
        id = (await suspendClaimed(opened, claimed, plan)).id
      }
      expect((await backend.listSignals(id, 0, 10)).items).toHaveLength(3)
    })
  })

  describe('an escalated suspension', () => {
    it('waits for an operator, whatever signals come (S-W10, S-C10)', async () => {
      const opened = await openSigning(open)
      const { backend, clock } = opened
      const { id, token } = await suspended(opened, {
        timeoutMs: 1000,
        onTimeout: 'escalate',
        reason: 'waiting_for_approval',
      })
      expect(await listSuspended(opened)).toMatchObject([
        { reason: 'waiting_for_approval', timeoutAtMs: clock.nowMs() + 1000 },
      ])
      await clock.advance(1000)
      await sweepAll(backend)
      expect(await listSuspended(opened)).toMatchObject([
        { reason: 'waiting_for_operator_review', timeoutAtMs: undefined },
      ])
      expect(await describeOne(backend, id)).toMatchObject({
        state: 'suspended',
        suspension: {
          reason: 'waiting_for_operator_review',
          timeoutAtMs: undefined,
          closedAtMs: undefined,
        },
      })
      for (let round = 0; round < 3; round++) {
        expect(await send(opened, token)).toBe('signal_ignored_not_in_condition')
      }
      await clock.advance(1_000_000)
      await withoutTrace(opened, () => sweepAll(backend))
      expect(await stateOf(backend, id)).toBe('suspended')
      expect(await backend.resumeExecution(id)).toMatchObject({ state: 'runnable.resumed' })
      expect(await claimOne(backend)).toMatchObject({ executionId: id, attempt: 0 })
    })

    it('loses what signals had contributed, but not the signals', async () => {
      const opened = await openSigning(open)
      const { backend, clock } = opened
      const { id, token } = await suspended(opened, {
        timeoutMs: 1000,
        onTimeout: 'escalate',
        condition: { kind: 'count', count: 2, of: 'signals', waitpoints: ['approval'] },
      })
      await send(opened, token)
      await clock.advance(1000)
      expect(await send(opened, token)).toBe('signal_ignored_not_in_condition')
      expect((await backend.listSignals(id, 0, 10)).items).toHaveLength(2)
      await backend.resumeExecution(id)
      const { handle } = await claimOne(backend)
      expect(await backend.observeSignals(handle)).toEqual([])
    })

    it('still ends at the deadline of the execution, and by cancelling', async () => {
      const opened = await openSigning(open)
      const { backend, clock } = opened
      const plan = { timeoutMs: 1000, onTimeout: 'escalate' } as const
      const late = await suspended(opened, { ...plan, submission: { deadlineMs: 5000 } })
      const gone = await suspended(opened, { ...plan, submission: { lane: 'other' } })
      await clock.advance(1000)
      await sweepAll(backend)
      await backend.cancelExecution(gone.id, 'over')
      expect(await stateOf(backend, gone.id)).toBe('terminal.cancelled')
      await clock.advance(4000)
      await sweepAll(backend)
      expect(await stateOf(backend, late.id)).toBe('terminal.expired')
    })
  })

  describe('the deadline of a suspended execution', () => {
    it('goes on while it waits, and closes everything (S-R5)', async () => {
      const opened = await openSigning(open)
      const { backend, clock } = opened
      const { id, token } = await suspended(opened, {
        submission: { deadlineMs: 1000 },
        timeoutMs: 5000,
        onTimeout: 'auto_resume',
      })
      await clock.advance(999)
      await sweepAll(backend)
      expect(await stateOf(backend, id)).toBe('suspended')
      await clock.advance(1)
      await refusal(backend.deliverSignal({ token }), 'target_not_signalable')
      expect(await describeOne(backend, id)).toMatchObject({
        state: 'terminal.expired',
        reason: 'deadline',
        suspension: { closeReason: 'expired', closedAtMs: clock.nowMs() },
      })
      expect((await backend.listWaitpoints(id)).items).toMatchObject([
        { state: 'closed', closeReason: 'expired' },
      ])
      await refusedWithoutTrace(
        opened,
        () => backend.deliverSignal({ token }),
        'target_not_signalable',
      )
    })

    it('wins over the end of the suspension at the same millisecond', async () => {
      const opened = await openSigning(open)
      const { backend, clock } = opened
      const { id } = await suspended(opened, {
        submission: { deadlineMs: 1000 },
        timeoutMs: 1000,
        onTimeout: 'cancel',
      })
      await clock.advance(1000)
      await sweepAll(backend)
      expect(await stateOf(backend, id)).toBe('terminal.expired')
    })
  })
}

async function listSuspended({ backend }: OpenedBackend) {
  const pages = await Promise.all(
    backend.partitions.map((partition) => backend.listSuspended(partition, undefined, 100)),
  )
  return pages.flatMap(({ items }) => items)
}
