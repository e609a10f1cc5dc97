// Suspended work in a directory: it survives closing, and processes that are killed.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { EngineBackend } from '../../../src/persistence/backend.ts'
import { openDirectory } from '../../../src/persistence/embedded/directory.ts'
import {
  type EmbeddedStore,
  openEmbeddedStore,
} from '../../../src/persistence/embedded/embedded-store.ts'
import { createBackend } from '../../../src/persistence/store-backend.ts'
import {
  claimOne,
  describeOne,
  refusal,
  stateOf,
  submitAndClaim,
} from '../../support/executions.ts'
import { Random } from '../../support/random.ts'
import { type SettableClock, settableProcessClock } from '../../support/settable-clock.ts'
import { satisfiedBy, send, suspendClaimed } from '../../support/suspensions.ts'
import { startChild } from './children.ts'

// Processes start slowly on a busy machine.
vi.setConfig({ testTimeout: 60_000 })

const everyByte = Uint8Array.from({ length: 256 }, (_, value) => value)

let folder: string
let path: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-suspension-'))
  path = join(folder, 'records')
})

afterEach(() => rm(folder, { recursive: true, force: true }))

interface Life {
  readonly store: EmbeddedStore
  readonly backend: EngineBackend
}

async function open(clock?: SettableClock): Promise<Life> {
  const directory = await openDirectory(path)
  const process = clock === undefined ? undefined : { ...clock, nowUs: () => clock.nowMs() * 1000 }
  const store = await openEmbeddedStore({ clock: process, directory })
  return { store, backend: createBackend(store) }
}

describe('after closing and opening', () => {
  it('everything about suspensions is as it was', async () => {
    const clock = settableProcessClock()
    let life = await open(clock)
    const claim = (lane: string) => submitAndClaim(life.backend, { lane }, { leaseMs: 3_600_000 })
    await life.backend.allowSignals({ signalsPerSender: 7 })
    const pending = await claim('pending')
    const early = await life.backend.createWaitpoint(pending.handle, 'early', 5000)
    const mine = { payload: everyByte, identity: 'ann', idempotencyKey: 'once' }
    await send(life, early.token, mine)
    const half = await suspendClaimed(life, await claim('half'), {
      condition: { kind: 'count', count: 2, of: 'signals', waitpoints: ['approval'] },
      timeoutMs: 10_000,
      onTimeout: 'auto_resume_with_signal',
      pointer: 'größe',
    })
    await send(life, half.token)
    const done = await suspendClaimed(life, await claim('done'))
    await send(life, done.token, { payload: everyByte })
    await life.backend.rotateSecret('B', Buffer.from('secret'.repeat(9)), 60_000)
    const young = await suspendClaimed(life, await claim('young'), { timeoutMs: 1000 })
    const seen = async () => [
      ...(await Promise.all(
        [pending, half.claimed, done.claimed].map(async ({ executionId }) => [
          await describeOne(life.backend, executionId),
          await life.backend.listWaitpoints(executionId, { withSignals: true }),
          await life.backend.listSignals(executionId, 0, 10),
        ]),
      )),
      await life.backend.listSuspended(0, undefined, 10),
      await life.backend.allowSignals({}),
      await life.backend.waitpointToken(half.id, half.waitpoints[0]!.waitpointId),
    ]
    const before = [await seen(), life.store.dump()]
    for (let round = 0; round < 3; round++) {
      await life.store.close()
      life = await open(clock)
      expect([await seen(), life.store.dump()]).toEqual(before)
    }
    // And it goes on from there.
    expect(await life.backend.deliverSignal({ token: early.token, ...mine })).toMatchObject({
      outcome: 'duplicate',
    })
    satisfiedBy(await life.backend.suspend(pending.handle, [{ token: early.token }]))
    const [observed] = await life.backend.observeSignals(pending.handle)
    expect(Buffer.compare(observed!.payload!, everyByte)).toBe(0)
    expect(await send(life, half.token)).toBe('resume_condition_satisfied')
    await refusal(life.backend.deliverSignal({ token: done.token }), 'waitpoint_closed')
    const again = await claimOne(life.backend, { lane: 'done' })
    expect(again.attempt).toBe(0)
    expect(
      await life.backend.suspend(young.lease, [{ key: 'approval' }], { timeoutMs: 1000 }),
    ).toEqual({ ...young.outcome, replayed: true })
    await clock.advance(1000)
    await life.backend.sweep(0)
    expect(await stateOf(life.backend, young.id)).toBe('terminal.failed')
    await life.store.close()
  })

  it('time that went by meanwhile has passed', async () => {
    const clock = settableProcessClock()
    let life = await open(clock)
    const claimed = await submitAndClaim(life.backend)
    const { id } = await suspendClaimed(life, claimed, {
      timeoutMs: 1000,
      onTimeout: 'auto_resume_with_signal',
    })
    await life.store.close()
    await clock.advance(1000)
    life = await open(clock)
    const { handle, executionId } = await claimOne(life.backend)
    expect(executionId).toBe(id)
    expect(await life.backend.observeSignals(handle)).toMatchObject([{ source: 'engine' }])
    await life.store.close()
  })

  it('what was purged stays gone', async () => {
    const clock = settableProcessClock()
    let life = await open(clock)
    const claimed = await submitAndClaim(life.backend)
    await life.backend.createWaitpoint(claimed.handle, 'never')
    const { id, token } = await suspendClaimed(life, claimed)
    await send(life, token, { payload: everyByte, idempotencyKey: 'once' })
    await life.backend.cancelExecution(id, 'over')
    await life.backend.purgeExecution(id)
    await life.store.close()
    const directory = await openDirectory(path)
    const left = [...directory.load()].map(([key]) => key)
    expect(left.filter((key) => key.includes(id.split('-')[1] as string))).toEqual([])
    await directory.close()
    life = await open(clock)
    await refusal(life.backend.deliverSignal({ token }), 'execution_not_found')
    await life.store.close()
  })
})

describe('a killed process', () => {
  it.each(['committed', 'flushed'])(
    'loses no suspension and no signal that it acknowledged (%s)',
    async (durability) => {
      const random = new Random(`kill ${durability}`)
      const tokens = new Map<string, string>()
      const signalled = new Set<string>()
      for (const lineCount of [1, 2 + random.below(10), 50 + random.below(50)]) {
        await rm(path, { recursive: true, force: true })
        tokens.clear()
        signalled.clear()
        const child = startChild('suspend', path, durability)
        await child.printed(lineCount)
        await child.kill()
        for (const line of child.lines) {
          const [number = '', what = ''] = line.split(' ')
          if (what === 'signalled') signalled.add(number)
          else tokens.set(number, what)
        }
        await verify(tokens, signalled)
      }
    },
  )
})

/** Everything that was printed is there; what was not signalled can be, with the same token. */
async function verify(
  tokens: ReadonlyMap<string, string>,
  signalled: ReadonlySet<string>,
): Promise<void> {
  const { backend, store } = await open()
  expect(tokens.size).toBeGreaterThan(0)
  for (const [number, token] of tokens) {
    const id = token.split('.')[1] as string
    const payload = Buffer.from(`payload ${number}`)
    const state = await stateOf(backend, id)
    if (signalled.has(number)) expect(state).toBe('runnable.resumed')
    else expect(['suspended', 'runnable.resumed']).toContain(state)
    if (state === 'suspended') {
      expect(await send({ backend }, token, { payload })).toBe('resume_condition_satisfied')
    } else {
      await refusal(backend.deliverSignal({ token, payload }), 'waitpoint_closed')
    }
    const { handle, attempt } = await claimOne(backend, { lane: `lane-${number}` })
    expect(attempt).toBe(0)
    const observed = await backend.observeSignals(handle)
    expect(observed.map((signal) => Buffer.from(signal.payload!).toString())).toEqual([
      `payload ${number}`,
    ])
  }
  await store.close()
}
