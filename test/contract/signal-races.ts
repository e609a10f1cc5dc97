// Races about suspended work: in either order nothing is lost, and each is told the truth.
import { describe, expect, it } from 'vitest'
import type { ExecutionId } from '../../src/ids.ts'
import type { EngineBackend, Handle } from '../../src/persistence/backend.ts'
import type { Open, OpenedBackend, OpenOptions } from '../support/backends.ts'
import { type Race, runInOrder, runRace } from '../support/contest.ts'
import { claimIds, submit, submitAndClaim, sweepAll } from '../support/executions.ts'
import { approval, openSigning, type SuspendPlan, send, suspended } from '../support/suspensions.ts'

interface Contest {
  readonly id: ExecutionId
  readonly handle: Handle
  readonly token: string
}

const met = 'resume_condition_satisfied'
const kept = 'buffered_for_pending_waitpoint'
let made = 0

/** A name that no race used before. */
const fresh = (name: string): string => `${name}${++made}`

const waits =
  (plan: SuspendPlan = {}, aheadMs = 0) =>
  async (opened: OpenedBackend): Promise<Contest> => {
    const { id, lease, token } = await suspended(opened, plan)
    await opened.clock.advance(aheadMs)
    return { id, handle: lease, token }
  }

const holds =
  (leaseMs = 60_000, aheadMs = 0, expiresInMs?: number) =>
  async ({ backend, clock }: OpenedBackend): Promise<Contest> => {
    const { executionId, handle } = await submitAndClaim(backend, {}, { leaseMs })
    const { token } = await backend.createWaitpoint(handle, 'early', expiresInMs)
    await clock.advance(aheadMs)
    return { id: executionId, handle, token }
  }

const resumed = async (opened: OpenedBackend): Promise<Contest> => {
  const contest = await waits()(opened)
  await send(opened, contest.token)
  return contest
}

const deliver =
  (idempotencyKey?: string) =>
  async (backend: EngineBackend, { token }: Contest): Promise<string> => {
    const { outcome, effect } = await backend.deliverSignal({ token, idempotencyKey })
    return outcome === 'duplicate' ? outcome : effect
  }

const suspendOn =
  (key?: string) =>
  async (backend: EngineBackend, { handle, token }: Contest): Promise<string> =>
    (await backend.suspend(handle, key === undefined ? [{ token }] : [{ key }])).outcome

const claimSome = async (backend: EngineBackend): Promise<string> =>
  `claimed ${(await claimIds(backend)).length}`

const cancel = (backend: EngineBackend, { id }: Contest) => backend.cancelExecution(id, 'over')
const resume = (backend: EngineBackend, { id }: Contest) => backend.resumeExecution(id)
const sweep = (backend: EngineBackend) => sweepAll(backend)

const races: Readonly<Record<string, Race<Contest>>> = {
  'a signal comes, its waitpoint is suspended on (S-R2, S-W4)': {
    start: holds(),
    a: deliver(),
    b: suspendOn(),
    results: [
      ['leased.held', kept, 'already_satisfied'],
      ['runnable.resumed', met, 'suspended'],
    ],
  },
  'two signals come of which either is enough (S-R3)': {
    start: waits(),
    a: deliver(),
    b: deliver(),
    results: [
      ['runnable.resumed', met, 'waitpoint_closed'],
      ['runnable.resumed', 'waitpoint_closed', met],
    ],
  },
  'one signal comes twice (S-R3)': {
    start: waits(),
    a: deliver('once'),
    b: deliver('once'),
    results: [
      ['runnable.resumed', met, 'duplicate'],
      ['runnable.resumed', 'duplicate', met],
    ],
  },
  'a signal comes, a sweep finds the time over (S-R4)': {
    start: waits({ timeoutMs: 1000 }, 1000),
    a: deliver(),
    b: sweep,
    results: [['terminal.failed', 'target_not_signalable', 'done']],
  },
  'a signal comes, a claim finds the time over (S-R4)': {
    start: waits({ timeoutMs: 1000, onTimeout: 'auto_resume' }, 1000),
    a: deliver(),
    b: claimSome,
    results: [['leased.held', 'waitpoint_closed', 'claimed 1']],
  },
  'a signal comes, an operator cancels (S-R5)': {
    start: waits(),
    a: deliver(),
    b: cancel,
    results: [
      ['terminal.cancelled', met, 'done'],
      ['terminal.cancelled', 'target_not_signalable', 'done'],
    ],
  },
  'a signal comes, a sweep finds the deadline passed (S-R5)': {
    start: waits({ submission: { deadlineMs: 1000 } }, 1000),
    a: deliver(),
    b: sweep,
    results: [['terminal.expired', 'target_not_signalable', 'done']],
  },
  'a signal comes, an operator resumes (S-R6)': {
    start: waits(),
    a: deliver(),
    b: resume,
    results: [
      ['runnable.resumed', met, 'execution_not_suspended'],
      ['runnable.resumed', 'waitpoint_closed', 'done'],
    ],
  },
  'two operators resume (S-R6)': {
    start: waits(),
    a: resume,
    b: resume,
    results: [
      ['runnable.resumed', 'done', 'execution_not_suspended'],
      ['runnable.resumed', 'execution_not_suspended', 'done'],
    ],
  },
  'a worker suspends, another claims its lost lease (S-R7)': {
    start: holds(1000, 1000),
    a: suspendOn('approval'),
    b: claimSome,
    results: [
      ['leased.held', 'lease_expired', 'claimed 1'],
      ['leased.held', 'stale_lease', 'claimed 1'],
    ],
  },
  'an operator resumes, the former holder renews (S-R8)': {
    start: waits(),
    a: resume,
    b: (backend, { handle }) => backend.renew(handle),
    results: [['runnable.resumed', 'done', 'execution_not_active']],
  },
  'another claims the resumed work, the former holder completes (S-R8)': {
    start: resumed,
    a: claimSome,
    b: (backend, { handle }) => backend.complete(handle),
    results: [
      ['leased.held', 'claimed 1', 'stale_lease'],
      ['leased.held', 'claimed 1', 'already_settled'],
    ],
  },
  'two claim the resumed work (S-R9)': {
    start: resumed,
    a: claimSome,
    b: claimSome,
    results: [
      ['leased.held', 'claimed 1', 'claimed 0'],
      ['leased.held', 'claimed 0', 'claimed 1'],
    ],
  },
  'a waitpoint dies, its worker suspends on it (S-R10)': {
    start: holds(60_000, 1000, 1000),
    a: suspendOn(),
    b: deliver(),
    results: [['leased.held', 'pending_waitpoint_expired', 'waitpoint_closed']],
  },
  'a signal comes, its key is replaced (S-R11)': {
    start: waits(),
    a: deliver(),
    b: (backend) =>
      backend.rotateSecret(fresh('kid'), Buffer.from(fresh('secret').repeat(9)), 1000),
    results: [['runnable.resumed', met, 'done']],
  },
  'a worker suspends, an operator cancels': {
    start: holds(),
    a: suspendOn('approval'),
    b: cancel,
    results: [
      ['terminal.cancelled', 'suspended', 'done'],
      ['terminal.cancelled', 'execution_not_active', 'done'],
    ],
  },
  'a worker suspends, an operator revokes its lease': {
    start: holds(),
    a: suspendOn('approval'),
    b: (backend, { id }) => backend.revokeLease(id),
    results: [
      ['suspended', 'suspended', 'execution_not_active'],
      ['leased.revoked', 'lease_revoked', 'done'],
    ],
  },
  'a worker suspends, and its double completes': {
    start: holds(),
    a: suspendOn('approval'),
    b: (backend, { handle }) => backend.complete(handle),
    results: [
      ['suspended', 'suspended', 'already_settled'],
      ['terminal.completed', 'already_settled', 'done'],
    ],
  },
  'a worker suspends, and its double does alike': {
    start: holds(),
    a: suspendOn('approval'),
    b: suspendOn('approval'),
    results: [['suspended', 'suspended', 'suspended']],
  },
}

export function describeSignalRaces(open: Open): void {
  const signing = (options?: OpenOptions) => openSigning(open, options)

  describe('when about suspended work', () => {
    it.each(Object.entries(races))('%s, one at a time, each order tells', async (_what, race) => {
      await runInOrder(signing, race)
    })

    it.each(Object.entries(races))('%s, at the same time, there is one truth', async (...given) => {
      await runRace(signing, given[1])
    })

    it('one grant is used twice, one of them counts (S-R9)', async () => {
      const opened = await signing()
      const other = (await opened.peer()).backend
      for (let round = 0; round < 5; round++) {
        const { id } = await resumed(opened)
        const grant = await opened.backend.issueClaimGrant(id, { worker: 'worker' })
        const answers = await Promise.allSettled([
          opened.backend.claimResumedExecution({ grant, leaseId: 'a' }),
          other.claimResumedExecution({ grant, leaseId: 'b' }),
        ])
        expect(answers.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
        const lost = answers.find(({ status }) => status === 'rejected') as PromiseRejectedResult
        expect(lost.reason).toMatchObject({ code: 'execution_not_leaseable' })
        await opened.backend.cancelExecution(id, 'over')
      }
    })

    it('a hundred signals come, each finds its one place', async () => {
      const opened = await signing({ partitions: 1 })
      const other = (await opened.peer()).backend
      const { id, token } = await suspended(opened, {
        condition: { kind: 'count', count: 60, of: 'sources', waitpoints: ['approval'] },
      })
      const answers = await Promise.allSettled(
        Array.from({ length: 100 }, (_, at) => {
          const backend = at % 2 === 0 ? opened.backend : other
          return backend.deliverSignal({ token, identity: `sender-${at}` })
        }),
      )
      const effects = answers.map((answer) =>
        answer.status === 'fulfilled' ? answer.value.effect : String(answer.reason.code),
      )
      const times = (word: string) => effects.filter((effect) => effect === word).length
      expect(times('appended_to_waitpoint')).toBe(59)
      expect(times(met)).toBe(1)
      expect(times('waitpoint_closed')).toBe(40)
      const { items } = await opened.backend.listSignals(id, 0, 100)
      expect(items.map(({ position }) => position)).toEqual(
        Array.from({ length: 60 }, (_, at) => at + 1),
      )
    })

    it('suspensions and signals of many pass each other, none is lost (S-R1, S-R2)', async () => {
      const opened = await signing()
      const other = (await opened.peer()).backend
      const { backend } = opened
      const lanes = Array.from({ length: 40 }, (_, at) => `lane-${at}`)
      await Promise.all(
        lanes.map(async (lane, at) => {
          await submit(backend, { lane })
          const [claimed] = await backend.claim(lane, [], { worker: 'worker' })
          const { token } = await backend.createWaitpoint(claimed!.handle, 'early')
          const signal = () => other.deliverSignal({ token })
          const suspend = () => backend.suspend(claimed!.handle, [{ token }, ...approval])
          const calls = at % 2 === 0 ? [signal(), suspend()] : [suspend(), signal()]
          await Promise.all(calls)
          // Either the lease is still held, or the work is there to be claimed.
          const renewed = await backend.renew(claimed!.handle).then(
            () => 1,
            () => 0,
          )
          const found = await backend.claim(lane, [], { worker: 'worker', count: 2 })
          expect(found.length + renewed).toBe(1)
        }),
      )
    })
  })
}
