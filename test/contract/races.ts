// Races: of two that want the same, one wins, and the other is told the truth.
import { describe, expect, it } from 'vitest'
import type { ExecutionId } from '../../src/ids.ts'
import type { EngineBackend, Handle } from '../../src/persistence/backend.ts'
import type { Open, OpenedBackend } from '../support/backends.ts'
import { type Race, runRace, told } from '../support/contest.ts'
import { claimIds, submit, submitAndClaim, sweepAll } from '../support/executions.ts'

interface Contest {
  readonly id: ExecutionId
  readonly handle: Handle
}

/** A race; what both want is a lease unless it says otherwise. */
type Contested = Omit<Race<Contest>, 'start'> & Partial<Pick<Race<Contest>, 'start'>>

const oops = { message: 'oops' }

const races: Readonly<Record<string, Contested>> = {
  'the worker completes, an operator cancels': {
    a: (backend, { handle }) => backend.complete(handle),
    b: (backend, { id }) => backend.cancelExecution(id, 'over'),
    results: [
      ['terminal.completed', 'done', 'execution_not_active'],
      ['terminal.cancelled', 'execution_not_active', 'done'],
    ],
  },
  'the worker completes, an operator revokes its lease': {
    a: (backend, { handle }) => backend.complete(handle),
    b: (backend, { id }) => backend.revokeLease(id),
    results: [
      ['terminal.completed', 'done', 'execution_not_active'],
      ['leased.revoked', 'lease_revoked', 'done'],
    ],
  },
  'the worker completes, its double fails': {
    a: (backend, { handle }) => backend.complete(handle),
    b: (backend, { handle }) => backend.fail(handle, oops, 'permanent'),
    results: [
      ['terminal.completed', 'done', 'already_settled'],
      ['terminal.failed', 'already_settled', 'done'],
    ],
  },
  'the worker renews, an operator cancels': {
    a: (backend, { handle }) => backend.renew(handle),
    b: (backend, { id }) => backend.cancelExecution(id, 'over'),
    results: [
      ['terminal.cancelled', 'done', 'done'],
      ['terminal.cancelled', 'execution_not_active', 'done'],
    ],
  },
  'a late worker completes, another reclaims': {
    start: async (opened) => {
      const contest = await held(opened, 1000)
      await opened.clock.advance(1000)
      return contest
    },
    a: (backend, { handle }) => backend.complete(handle),
    b: claimSomething,
    results: [
      ['leased.held', 'lease_expired', 'done'],
      ['leased.held', 'stale_lease', 'done'],
    ],
  },
  'two replay': {
    start: ended,
    a: (backend, { id }) => backend.replayExecution(id, 'a'),
    b: (backend, { id }) => backend.replayExecution(id, 'b'),
    results: [
      ['runnable.ready', 'done', 'execution_not_terminal'],
      ['runnable.ready', 'execution_not_terminal', 'done'],
    ],
  },
  'one replays, another purges': {
    start: ended,
    a: (backend, { id }) => backend.replayExecution(id),
    b: (backend, { id }) => backend.purgeExecution(id),
    results: [
      ['runnable.ready', 'done', 'execution_not_terminal'],
      ['absent', 'execution_not_found', 'done'],
    ],
  },
  'two want a grant': {
    start: waiting,
    a: (backend, { id }) => backend.issueClaimGrant(id, { worker: 'a' }),
    b: (backend, { id }) => backend.issueClaimGrant(id, { worker: 'b' }),
    results: [
      ['runnable.ready', 'done', 'grant_already_exists'],
      ['runnable.ready', 'grant_already_exists', 'done'],
    ],
  },
  'one wants a grant, an operator blocks': {
    start: waiting,
    a: (backend, { id }) => backend.issueClaimGrant(id, { worker: 'a' }),
    b: (backend, { id }) => backend.blockExecution(id, 'reason'),
    results: [
      ['runnable.ready', 'done', 'execution_not_eligible'],
      ['runnable.blocked', 'execution_not_eligible', 'done'],
    ],
  },
  'one claims, an operator pauses the lane': {
    start: waiting,
    a: (backend) => backend.claim('lane', [], { worker: 'worker' }),
    b: (backend) => backend.pauseLane('lane'),
    results: [
      ['leased.held', 'done', 'done'],
      ['runnable.ready', 'done', 'done'],
    ],
  },
  'one claims what is due, another sweeps': {
    start: async (opened) => {
      const id = await submit(opened.backend, { delayMs: 10 })
      await opened.clock.advance(10)
      return { id, handle: nobody }
    },
    a: claimSomething,
    b: (backend) => sweepAll(backend),
    results: [['leased.held', 'done', 'done']],
  },
}

const nobody: Handle = { backend: 'valkey', kind: 'fresh', opaque: '' }

async function held({ backend }: OpenedBackend, leaseMs = 60_000): Promise<Contest> {
  const { executionId, handle } = await submitAndClaim(backend, {}, { leaseMs })
  return { id: executionId, handle }
}

async function waiting({ backend }: OpenedBackend): Promise<Contest> {
  return { id: await submit(backend), handle: nobody }
}

async function ended(opened: OpenedBackend): Promise<Contest> {
  const contest = await held(opened)
  await opened.backend.complete(contest.handle)
  return contest
}

async function claimSomething(backend: EngineBackend): Promise<void> {
  expect(await claimIds(backend)).toHaveLength(1)
}

export function describeRaces(open: Open): void {
  describe('when at the same time', () => {
    it.each(Object.entries(races))('%s, there is one truth', async (_what, race) => {
      await runRace(open, { start: held, ...race })
    })

    it('many settle one lease in many ways, exactly one of them counts', async () => {
      const opened = await open()
      const other = (await opened.peer()).backend
      for (let round = 0; round < 5; round++) {
        const { id, handle } = await held(opened)
        const settles = [opened.backend, other].flatMap((backend) => [
          () => backend.complete(handle),
          () => backend.fail(handle, oops, 'permanent'),
          () => backend.cancel(handle, 'no need'),
          () => backend.delay(handle, 0),
        ])
        const from = round % settles.length
        const order = [...settles.slice(from), ...settles.slice(0, from)]
        const answers = await Promise.allSettled(order.map((settle) => settle()))
        const fresh = answers.filter(
          (answer) => answer.status === 'fulfilled' && !answer.value.replayed,
        )
        expect(fresh).toHaveLength(1)
        // The same call through the other connection is recognised; all others are told.
        expect(answers.map(told).filter((answer) => answer === 'done')).toHaveLength(2)
        expect(answers.map(told).filter((answer) => answer === 'already_settled')).toHaveLength(6)
        await opened.backend.cancelExecution(id, 'over').catch(() => undefined)
      }
    })
  })
}
