// Every operation is safe to repeat: with its first reply lost, it is answered as if nothing was.
import { describe, expect, test } from 'vitest'
import type { Connection } from '../../../src/persistence/valkey/connection.ts'
import { bytes, claimOne, describeOne, submit, work } from '../../support/executions.ts'
import { useServer, useStores } from '../../support/valkey-server.ts'

const at = useServer()
const open = useStores()

/** Loses the reply of every first, third, fifth … call after the server has committed it. */
function losing(connection: Connection): Connection {
  let sent = 0
  const lose = async <Value>(answer: Promise<Value>): Promise<Value> => {
    const reply = await answer
    if (sent++ % 2 === 1) return reply
    throw new Error('Connection is closed.')
  }
  const lossy: Connection = Object.create(connection)
  lossy.send = (command, args) => lose(connection.send(command, args))
  lossy.transact = (commands) => lose(connection.transact(commands))
  return lossy
}

describe('With every first reply lost', () => {
  test('the life of an execution is the same', async () => {
    const { backend } = await open({ url: at.server.url, wrapConnection: losing })
    const submission = work({ retry: { attempts: 2, delayMs: 1 }, idempotencyKey: 'key' })
    const { outcome, executionId } = await backend.submit(submission)
    expect(outcome).toBe('submitted')
    expect(await backend.submit(submission)).toEqual({ outcome: 'duplicate', executionId })

    const first = await claimOne(backend)
    expect(first).toMatchObject({ executionId, attempt: 0, handle: { kind: 'fresh' } })
    await backend.progress(first.handle, 10, 'a little')
    expect((await backend.renew(first.handle)).epoch).toBe(first.epoch)
    expect(await backend.delay(first.handle, 0)).toMatchObject({ outcome: 'delayed' })

    const grant = await backend.issueClaimGrant(executionId, { worker: 'worker' })
    const second = await backend.claimResumedExecution({ grant })
    expect(second).toMatchObject({ attempt: 0, handle: { kind: 'resumed' } })
    await backend.revokeLease(executionId)
    const reclaim = await backend.issueReclaimGrant(executionId, { worker: 'worker' })
    const third = await backend.claimFromReclaim({ grant: reclaim })
    expect(third).toMatchObject({ attempt: 1, attemptType: 'reclaim' })
    const failed = await backend.fail(
      third?.handle ?? second.handle,
      { message: 'oops' },
      'transient',
    )
    expect(failed.outcome).toBe('retry_scheduled')

    await backend.blockExecution(executionId, 'reason')
    await backend.unblockExecution(executionId, 'reason')
    await backend.changePriority(executionId, 5)
    const [fourth] = await backend.claim('lane', [], { worker: 'worker', maxWaitMs: 5000 })
    expect(fourth).toMatchObject({ attempt: 2, attemptType: 'retry' })
    const handle = fourth?.handle ?? first.handle
    expect(await backend.complete(handle, bytes('result'))).toMatchObject({ outcome: 'completed' })
    expect(await backend.replayExecution(executionId)).toEqual({ replays: 1 })
    const fifth = await claimOne(backend)
    expect(fifth).toMatchObject({ attempt: 3, attemptType: 'replay' })
    expect(await backend.cancel(fifth.handle, 'over')).toMatchObject({ outcome: 'cancelled' })

    expect(await describeOne(backend, executionId)).toMatchObject({
      state: 'terminal.cancelled',
      totalAttempts: 4,
      priority: 5,
      replays: 1,
    })
    expect(await backend.watch(executionId)).toMatchObject({ outcome: 'cancelled' })
    const page = await backend.listExecutions(0, undefined, 10)
    expect(page.items).toEqual([executionId])
    await backend.pauseLane('lane')
    await backend.resumeLane('lane')
    await backend.sweep(0)
    await backend.purgeExecution(executionId)
    expect(await backend.describeExecution(executionId)).toBeUndefined()
  })

  test('a large input is stored once and comes back', async () => {
    const { backend } = await open({ url: at.server.url, wrapConnection: losing })
    const input = new Uint8Array(300_000).fill(0xfe)
    const submission = work({ input, idempotencyKey: 'large' })
    const { outcome, executionId } = await backend.submit(submission)
    expect(outcome).toBe('submitted')
    expect(await backend.submit(submission)).toEqual({ outcome: 'duplicate', executionId })
    const claimed = await claimOne(backend)
    expect(Buffer.compare(claimed.input, input)).toBe(0)
  })

  test('a batch is applied once', async () => {
    const { backend } = await open({ url: at.server.url, wrapConnection: losing })
    const ids = await Promise.all(Array.from({ length: 100 }, () => submit(backend)))
    expect(new Set(ids).size).toBe(100)
    const claimed = await backend.claim('lane', [], { worker: 'worker', count: 256 })
    expect(claimed).toHaveLength(100)
    const settled = await Promise.all(claimed.map(({ handle }) => backend.complete(handle)))
    expect(settled.every(({ outcome }) => outcome === 'completed')).toBe(true)
    for (const id of ids) expect((await describeOne(backend, id)).totalAttempts).toBe(1)
  })
})
