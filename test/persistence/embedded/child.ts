// A process that opens a directory, does as it is told on the command line, and prints what it saw.

import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { isEngineError } from '../../../src/errors.ts'
import { openDirectory, type RecordDirectory } from '../../../src/persistence/embedded/directory.ts'
import { openEmbeddedStore } from '../../../src/persistence/embedded/embedded-store.ts'
import { createBackend } from '../../../src/persistence/store-backend.ts'

const [task = '', path = '', durability = 'committed'] = process.argv.slice(2)

function codeOf(error: unknown): string {
  return isEngineError(error) ? error.code : String(error)
}

function open(): Promise<RecordDirectory> {
  return openDirectory(path, { durability: durability === 'flushed' ? 'flushed' : 'committed' })
}

/** Commits pairs of records without end, a few at a time, and prints each acknowledged number. */
async function count(): Promise<void> {
  const directory = await open()
  let next = [...directory.load()].length / 2
  async function commitNext(): Promise<void> {
    const number = String(next++).padStart(9, '0')
    const value = Buffer.from(number.repeat(20))
    await directory.commit(
      new Map([
        [`left ${number}`, value],
        [`right ${number}`, value],
      ]),
    )
    console.log(Number(number))
    return commitNext()
  }
  await Promise.all([1, 2, 3, 4].map(commitNext))
}

/** Opens when it reads a line, prints how that went, and keeps the directory open. */
async function hold(): Promise<void> {
  const lines = createInterface({ input: process.stdin })
  console.log('ready')
  await once(lines, 'line')
  console.log(await open().then(() => 'open', codeOf))
}

/** Opens and stops caring: nothing may keep the process from ending. */
async function leave(): Promise<void> {
  await open()
  console.log('open')
}

/** Commits until the disk takes no more, then tries on. */
async function fill(): Promise<void> {
  process.on('SIGXFSZ', () => {})
  const directory = await open()
  const commit = (name: string) =>
    directory
      .commit(new Map([[name, new Uint8Array(200_000)]]))
      .then(() => `stored ${name}`, codeOf)
  for (let round = 0; ; round++) {
    const answers = await Promise.all([commit(`${round}a`), commit(`${round}b`)])
    for (const answer of answers) console.log(answer)
    if (!answers.every((answer) => answer.startsWith('stored'))) break
  }
  console.log(await commit('later'))
  await directory.close()
  console.log('closed')
}

/**
 * Suspends one execution after the other, and signals each; both are printed once acknowledged:
 * the token when it waits, its number when it was signalled.
 */
async function suspend(): Promise<void> {
  const backend = createBackend(await openEmbeddedStore({ directory: await open() }))
  const token = async (number: number) => {
    const lane = `lane-${number}`
    await backend.submit({ lane, task: 'task', input: Buffer.from(lane) })
    const [claimed] = await backend.claim(lane, [], { worker: 'child', leaseMs: 3_600_000 })
    const outcome = await backend.suspend(claimed!.handle, [{ key: 'approval' }])
    return outcome.outcome === 'suspended' ? outcome.waitpoints[0]!.token : 'none'
  }
  async function next(number: number): Promise<void> {
    const waits = await token(number)
    console.log(`${number} ${waits}`)
    await backend.deliverSignal({ token: waits, payload: Buffer.from(`payload ${number}`) })
    console.log(`${number} signalled`)
    return next(number + 3)
  }
  await Promise.all([0, 1, 2].map(next))
}

const tasks: Record<string, () => Promise<void>> = { count, hold, leave, fill, suspend }
await tasks[task]?.()
