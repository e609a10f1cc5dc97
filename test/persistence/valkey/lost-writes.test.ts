// A server that lost its newest writes, as a failover may: fencing holds, acknowledgement cannot.
import { beforeAll, describe, expect, test } from 'vitest'
import { claimOne, refusal, stateOf, submit, submitAndClaim } from '../../support/executions.ts'
import { restoreServer, saveServer } from '../../support/keyspace-dump.ts'
import {
  type SettableClock,
  settableServerClock,
  testLibrary,
} from '../../support/settable-clock.ts'
import { useServer, useStores } from '../../support/valkey-server.ts'

const at = useServer()
const openStore = useStores()
const open = () => openStore({ url: at.server.url, library: testLibrary })
let clock: SettableClock

beforeAll(async () => {
  clock = await settableServerClock([at.redis])
})

describe('After the newest writes were lost', () => {
  test('no epoch is given twice, and the worker that was lost is fenced off (W53)', async () => {
    const { backend } = await open()
    const id = await submit(backend)
    const before = await saveServer(at.redis)
    const lost = await claimOne(backend)
    await restoreServer(at.redis, before)
    await clock.advance(1)
    const claimed = await claimOne(backend)
    expect(claimed.executionId).toBe(id)
    expect(claimed.attempt).toBe(lost.attempt)
    expect(claimed.epoch).toBeGreaterThan(lost.epoch)
    await refusal(backend.complete(lost.handle), 'stale_lease')
    expect(await backend.complete(claimed.handle)).toMatchObject({ replayed: false })
  })

  test('a lease with the same epoch is not taken for the lost one (W53)', async () => {
    const { backend } = await open()
    await submit(backend)
    const before = await saveServer(at.redis)
    const lost = await claimOne(backend)
    await restoreServer(at.redis, before)
    // The clocks of the two servers may disagree so far that even the epochs are equal.
    const claimed = await claimOne(backend)
    expect(claimed.epoch).toBe(lost.epoch)
    await refusal(backend.complete(lost.handle), 'stale_lease')
    await backend.complete(claimed.handle)
  })

  test('a worker whose claim was lost is told so while nobody else has claimed (W53)', async () => {
    const { backend } = await open()
    const id = await submit(backend)
    const before = await saveServer(at.redis)
    const lost = await claimOne(backend)
    await restoreServer(at.redis, before)
    await refusal(backend.complete(lost.handle), 'execution_not_active', {
      state: 'runnable.ready',
    })
    expect(await stateOf(backend, id)).toBe('runnable.ready')
  })

  test('a lost completion is accepted again from the same worker', async () => {
    const { backend } = await open()
    const { executionId, handle } = await submitAndClaim(backend)
    const before = await saveServer(at.redis)
    await backend.complete(handle)
    await restoreServer(at.redis, before)
    expect(await backend.complete(handle)).toEqual({ outcome: 'completed', replayed: false })
    expect(await stateOf(backend, executionId)).toBe('terminal.completed')
  })
})
