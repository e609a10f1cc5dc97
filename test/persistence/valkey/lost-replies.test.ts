// Every operation is safe to repeat: with its first reply lost, it is answered as if nothing was.
import type { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startCluster, startServer } from '../../../scripts/servers.ts'
import type { Connection } from '../../../src/persistence/valkey/connection.ts'
import {
  bytes,
  claimOne,
  describeOne,
  frame,
  readAll,
  refusal,
  stateOf,
  submit,
  textsOf,
  work,
} from '../../support/executions.ts'
import { plainClient, useServer, useStores } from '../../support/valkey-server.ts'

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

describe.each([1, 3])('With replies lost by a server that hung, of %i primaries', (primaries) => {
  let nodes: Redis[]
  let url: string
  let stop: () => Promise<void>

  beforeAll(async () => {
    const started =
      primaries === 1
        ? await startServer({ flavour: 'valkey' }).then((one) => ({ ...one, nodes: [one.url] }))
        : await startCluster({ flavour: 'valkey', primaries })
    url = started.url
    stop = started.stop
    nodes = started.nodes.map((node) => plainClient({ port: Number(new URL(node).port) }))
  })
  afterAll(async () => {
    for (const node of nodes) node.disconnect()
    await stop()
  })

  /** Stops the servers until the calls on their way have been given up and are asked again. */
  const hang = async <Value>(namespace: string, act: () => Promise<Value>): Promise<Value> => {
    const impatient = await open({ url, namespace, partitions: 3, callTimeoutMs: 600 })
    const pids = await Promise.all(
      nodes.map(async (node) => Number(/process_id:(\d+)/.exec(await node.info('server'))?.[1])),
    )
    for (const pid of pids) process.kill(pid, 'SIGSTOP')
    const answer = act()
    await refusal(submit(impatient.backend, { lane: 'other' }), 'connection_timeout')
    for (const pid of pids) process.kill(pid, 'SIGCONT')
    return answer
  }

  test('a claim still takes as much as it asked for, and no more', async () => {
    const { backend, namespace } = await open({ url, partitions: 3, silenceMs: 150 })
    const ids = await Promise.all(Array.from({ length: 30 }, () => submit(backend)))
    const claimed = await hang(namespace, () =>
      backend.claim('lane', [], { worker: 'worker', count: 2 }),
    )
    expect(claimed).toHaveLength(2)
    const states = await Promise.all(ids.map((id) => stateOf(backend, id)))
    expect(states.filter((state) => state === 'leased.held')).toHaveLength(2)
  })

  test('a submission and a completion still happen once', async () => {
    const { backend, namespace } = await open({ url, partitions: 3, silenceMs: 150 })
    const id = await hang(namespace, () => submit(backend))
    const lists = await Promise.all(
      backend.partitions.map((partition) => backend.listExecutions(partition, undefined, 10)),
    )
    const others = await Promise.all(
      lists.flatMap(({ items }) => items).map((found) => describeOne(backend, found)),
    )
    expect(
      others.filter(({ lane }) => lane === 'lane').map(({ executionId }) => executionId),
    ).toEqual([id])
    const { handle } = await claimOne(backend)
    const settled = await hang(namespace, () => backend.complete(handle))
    expect(settled.outcome).toBe('completed')
  })
})

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

  test('numbered frames are appended once, also as whole batches', async () => {
    const { backend } = await open({ url: at.server.url, wrapConnection: losing })
    const { executionId } = await backend.submit(work())
    const { handle } = await claimOne(backend)
    for (let sent = 0; sent < 300; sent += 100) {
      const outcomes = await Promise.all(
        Array.from({ length: 100 }, (_, position) => {
          const seq = sent + position + 1
          return backend.appendFrame(handle, frame(String(seq), { seq }))
        }),
      )
      expect(outcomes.map(({ number }) => number)).toEqual(
        Array.from({ length: 100 }, (_, position) => sent + position + 1),
      )
    }
    for (const seq of [301, 302]) {
      await backend.appendFrame(handle, frame(`{"k${seq}":1}`, { mode: 'summary', seq }))
    }
    await backend.complete(handle)
    const page = await readAll(backend, executionId)
    expect(page).toMatchObject({ frameCount: 302, closedReason: 'attempt_success' })
    const wanted = Array.from({ length: 300 }, (_, position) => String(position + 1))
    expect(textsOf(page)).toEqual([...wanted, '{"k301":1}', '{"k302":1}'])
    expect(await backend.readSummary(executionId, 0)).toMatchObject({
      document: '{"k301":1,"k302":1}',
      version: 2,
    })
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
