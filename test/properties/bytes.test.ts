// Inputs, results and failures come back byte by byte, whatever they are and however long.
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Arguments } from '../../src/persistence/contract.ts'
import { observingLibrary } from '../support/observing-library.ts'
import { digestOf, plainWork } from './commands/submit.ts'
import { Model } from './model-run.ts'
import { type LockstepServer, startLockstep } from './server-run.ts'
import type { Call, Fence } from './world.ts'

const runs = 200
const id = '0'.repeat(26)

let server: LockstepServer

beforeAll(async () => {
  server = await startLockstep(observingLibrary())
})

afterAll(() => server.stop())

const bytes = (maxLength: number) =>
  fc.uint8Array({ minLength: 0, maxLength, size: 'max' }).map((array) => Buffer.from(array))

const claim: Arguments<'lease.claim'> = {
  lanes: 'lane',
  capabilities: '',
  kinds: 'f',
  count: 1,
  worker: 'worker',
  lease_id: 'lease',
  lease_ms: 1000,
  sleep_ms: undefined,
}

/** Submits, claims and settles on both stores; answers with the input and the ending handed out. */
async function passThrough(input: Uint8Array, settle: (fence: Fence) => Call) {
  const model = await Model.open()
  const take = async (call: Call) => {
    expect(await model.take({ step: 'call', call })).toBeUndefined()
    return model.performed.at(-1)?.answer
  }
  await take({ name: 'execution.submit', args: plainWork(id, { input }) })
  const claimed = await take({ name: 'lease.claim', args: claim })
  const row = claimed !== undefined && 'rows' in claimed ? claimed.rows[0] : undefined
  await take(settle(row as Fence))
  const ended = await take({ name: 'execution.watch', args: { id } })
  expect(await server.difference(model.performed)).toBeUndefined()
  return { input: row?.input, ending: ended?.outcome === 'ended' ? ended.ending : undefined }
}

const fenceOf = ({ attempt, lease_id, epoch }: Fence) => ({ id, attempt, lease_id, epoch })
const digest = digestOf('d')

describe('Bytes', () => {
  it('of inputs and results are what was handed in', async () => {
    const property = fc.asyncProperty(bytes(3000), bytes(3000), async (input, result) => {
      const found = await passThrough(input, (fence) => ({
        name: 'execution.complete',
        args: { ...fenceOf(fence), digest, result },
      }))
      expect(Buffer.from(found.input ?? []).equals(input)).toBe(true)
      expect(Buffer.from(found.ending ?? []).equals(result)).toBe(true)
    })
    await fc.assert(property, { numRuns: runs })
  })

  it('of failures are what was handed in', async () => {
    const property = fc.asyncProperty(bytes(50), bytes(5000), async (input, failure) => {
      const found = await passThrough(input, (fence) => ({
        name: 'execution.fail',
        args: { ...fenceOf(fence), digest, class: 'permanent', failure, random_ppm: 0 },
      }))
      expect(Buffer.from(found.ending ?? []).equals(failure)).toBe(true)
    })
    await fc.assert(property, { numRuns: runs })
  })
})
