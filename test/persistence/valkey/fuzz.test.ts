// Whatever arrives on the wire is refused whole or applied whole: every operation, with garbage.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Flavour, type RunningServer, startServer } from '../../../scripts/servers.ts'
import type { OperationName } from '../../../src/persistence/contract.ts'
import { operationPlans } from '../../../src/persistence/generated/operations.ts'
import { createBackend } from '../../../src/persistence/store-backend.ts'
import { encodeCall } from '../../../src/persistence/valkey/codec.ts'
import { openValkeyStore } from '../../../src/persistence/valkey/valkey-store.ts'
import { fittingArguments } from '../../support/fitting-calls.ts'
import { dumpServers, restoreServer, saveServer } from '../../support/keyspace-dump.ts'
import { bring, reachableLeaves } from '../../support/leaves.ts'
import { ObservedStore } from '../../support/observed-store.ts'
import { Random } from '../../support/random.ts'
import { settableServerClock, testLibrary } from '../../support/settable-clock.ts'
import { plainClient } from '../../support/valkey-server.ts'
import { learnBatches } from '../../support/wire.ts'

type Wire = string | Buffer

const casesPerOperation = 300
const tag = '{hf:fuzz:0}'

/** One server with an execution in every reachable leaf. */
async function prepare(flavour: Flavour) {
  const server = await startServer({ flavour })
  const redis = plainClient(server)
  const clock = await settableServerClock([redis])
  const store = new ObservedStore(
    await openValkeyStore({ url: server.url, namespace: 'fuzz', library: testLibrary }),
  )
  const backend = createBackend(store)
  const dump = () => dumpServers([redis], '*')
  const opened = { backend, store, clock, dump, peer: () => expect.fail('there is no peer') }
  const brought = []
  for (const leaf of reachableLeaves) brought.push({ leaf, ...(await bring(opened, leaf)) })
  await backend.close()
  const saved = await saveServer(redis)
  const batchOf = await learnBatches(server.url, testLibrary.name)
  await restoreServer(redis, saved)
  return { server, redis, dump, brought, batchOf }
}

type Ground = Awaited<ReturnType<typeof prepare>>

/** The arguments, in wire order, of a call that fits the plan of its operation. */
function fitting(random: Random, { brought }: Ground, name: OperationName): Wire[] {
  return encodeCall(name, fittingArguments(random, brought, name)).slice(1) as Wire[]
}

const garbage: readonly Wire[] = [
  ...['', '0', '1', '-1', '1.5', '1e3', '0x10', ' 7', '7 ', '+7', '07', 'NaN', 'nan', 'inf'],
  ...['9007199254740993', '9'.repeat(16), '9'.repeat(17), '9'.repeat(400), '-0', '1,000'],
  ...['a b', 'a|b', 'a,b', ',', ',,', 'a\nb', '\u0000', '%d+', '{x}', 'null', 'true', '[]'],
  ...['x'.repeat(61), 'x'.repeat(65), 'x'.repeat(2049), 'x'.repeat(100_000)],
  ...['5 fixed 0 0 0 0 ', '1e3 fixed 1 1 1000 0 t', '2 other 1 1 1000 0 t', '2 fixed 1 1 999 0 t'],
  Buffer.from([0xff, 0xfe]),
  Buffer.from([0xc0, 0x80, 0x00]),
  Buffer.from([0xed, 0xa0, 0x80, 0x31]),
]

function anything(random: Random): Wire {
  if (random.below(3) > 0) return random.one(garbage)
  return Buffer.from(Array.from({ length: random.below(80) }, () => random.below(256)))
}

/** A fitting call in which some arguments, or their number, or the operation is garbage. */
function spoilt(random: Random, ground: Ground, name: OperationName): Wire[] {
  const args = fitting(random, ground, name)
  const optional = operationPlans[name].args.map((plan) => plan.optional)
  for (let times = 1 + random.below(2); times > 0 && args.length > 0; times--) {
    const at = random.below(args.length)
    const value = anything(random)
    const marked = optional[at] === true && random.below(2) === 0
    args[at] = marked ? Buffer.concat([Buffer.from('1'), Buffer.from(value)]) : value
  }
  const change = random.below(12)
  if (change === 0) args.pop()
  if (change === 1) args.push(anything(random))
  if (change === 2) args.splice(random.below(args.length + 1), 0, anything(random))
  return [change === 3 ? anything(random) : name, ...args]
}

describe.each(['valkey', 'redis'] as const)('Garbage on %s', (flavour) => {
  let ground: Ground
  let server: RunningServer

  beforeAll(async () => {
    ground = await prepare(flavour)
    server = ground.server
  })
  afterAll(async () => {
    ground.redis.disconnect()
    await server.stop()
  })

  test.each(Object.keys(operationPlans) as OperationName[])(
    'in the arguments of %s changes nothing that is not answered with an outcome (W5, W34)',
    async (name) => {
      const random = new Random(name)
      const { redis, dump } = ground
      const seen = { refused: 0, malformed: 0, accepted: 0 }
      let before = await dump()
      for (let round = 0; round < casesPerOperation; round++) {
        const wire = spoilt(random, ground, name)
        const shown = wire.map((part) => JSON.stringify(part.toString('latin1').slice(0, 80)))
        const reply = await redis
          .call('FCALL', ...(ground.batchOf(tag, wire) as string[]))
          .catch((error: Error) => error)
        // A short answer is one text.
        const answer: string[] | undefined = Array.isArray(reply) ? [reply[0]].flat() : undefined
        if (answer === undefined) expect(String(reply), shown.join(' ')).toMatch(/MALFORMED/)
        expect(answer?.[0], `${shown.join(' ')} → ${answer}`).not.toBe('fault')
        const after = await dump()
        const outcome = answer?.[0] ?? 'malformed'
        if (outcome === 'refused' || outcome === 'malformed') {
          expect(after, shown.join(' ')).toEqual(before)
          seen[outcome] += 1
        } else {
          seen.accepted += 1
          before = after
        }
      }
      const wrong = seen.refused + seen.malformed
      expect(wrong).toBeGreaterThanOrEqual(operationPlans[name].args.length > 0 ? 200 : 20)
    },
  )

  test.each(Object.keys(operationPlans) as OperationName[])(
    'behind a good call keeps both from being applied: %s',
    async (name) => {
      const random = new Random(`batch ${name}`)
      const { redis, dump } = ground
      const good = ['lane.set_state', 'good', 'paused']
      const short = [name, ...fitting(random, ground, name).slice(1)]
      const long = [name, ...fitting(random, ground, name), 'more']
      const bad = operationPlans[name].args.length > 0 ? [short, long] : [long]
      const before = await dump()
      for (const wire of [...bad, ['no.operation'], ['']]) {
        const both = ground.batchOf(tag, [...good, ...wire]) as string[]
        await expect(redis.call('FCALL', ...both)).rejects.toThrow(/MALFORMED/)
        expect(await dump()).toEqual(before)
      }
    },
  )

  test('in the keys is refused', async () => {
    const { redis, dump } = ground
    const before = await dump()
    const [library = '', , , ...sweep] = ground.batchOf(tag, ['partition.sweep', '5']) as string[]
    for (const keys of [['0'], ['2', tag, tag], ['2', tag, 'other']]) {
      const call = redis.call('FCALL', library, ...keys, ...sweep)
      await expect(call).rejects.toThrow(/MALFORMED/)
    }
    expect(await dump()).toEqual(before)
  })

  test('cannot make the reading function write', async () => {
    const { redis, dump } = ground
    const before = await dump()
    for (const [name, { reads }] of Object.entries(operationPlans)) {
      const random = new Random(`reading ${name}`)
      const args = fitting(random, ground, name as OperationName)
      const [library = '', ...wire] = ground.batchOf(tag, [name, ...args]) as string[]
      const call = redis.call('FCALL_RO', `${library}_read`, ...wire)
      if (reads) expect(await call).toBeInstanceOf(Array)
      else await expect(call).rejects.toThrow(/MALFORMED/)
      await expect(redis.call('FCALL_RO', library, ...wire)).rejects.toThrow()
    }
    expect(await dump()).toEqual(before)
  })
})
