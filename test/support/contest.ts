// Two that want the same at the same time: what each is told must fit one order of the two.
import { expect } from 'vitest'
import type { ErrorCode } from '../../src/errors.ts'
import type { ExecutionId } from '../../src/ids.ts'
import type { EngineBackend } from '../../src/persistence/backend.ts'
import type { Open, OpenedBackend } from './backends.ts'
import { stateOf } from './executions.ts'

/** A word that the call answered with, `done` for any other answer, or why it was refused. */
export type Told = string | ErrorCode

export interface Race<Contest extends { readonly id: ExecutionId }> {
  /** Prepares the execution that both want. */
  readonly start: (opened: OpenedBackend) => Promise<Contest>
  readonly a: (backend: EngineBackend, contest: Contest) => Promise<unknown>
  readonly b: (backend: EngineBackend, contest: Contest) => Promise<unknown>
  /** The leaf afterwards and what each was told: when a came first, when b came first. */
  readonly results: readonly (readonly [leaf: string, a: Told, b: Told])[]
}

export function told(settled: PromiseSettledResult<unknown>): Told {
  if (settled.status === 'rejected') return settled.reason.code ?? String(settled.reason)
  return typeof settled.value === 'string' ? settled.value : 'done'
}

const settle = async (call: () => Promise<unknown>): Promise<Told> =>
  told((await Promise.allSettled([call()]))[0])

async function leafOf({ backend }: OpenedBackend, id: ExecutionId): Promise<string> {
  const gone = (await backend.describeExecution(id)) === undefined
  return gone ? 'absent' : stateOf(backend, id)
}

async function clear({ backend }: OpenedBackend, id: ExecutionId): Promise<void> {
  await backend.resumeLane('lane')
  await backend.cancelExecution(id, 'over').catch(() => undefined)
}

/** Runs the race again and again, sent in turns from two backends; the rest is the network's. */
export async function runRace<Contest extends { readonly id: ExecutionId }>(
  open: Open,
  race: Race<Contest>,
  rounds = 10,
): Promise<void> {
  const opened = await open()
  const other = (await opened.peer()).backend
  for (let round = 0; round < rounds; round++) {
    const contest = await race.start(opened)
    const a = () => race.a(opened.backend, contest)
    const b = () => race.b(other, contest)
    const [one, two] = round % 2 === 0 ? [a(), b()] : [b(), a()]
    const settled = (await Promise.allSettled([one, two])).map(told)
    const answers = round % 2 === 0 ? settled : settled.reverse()
    expect(race.results).toContainEqual([await leafOf(opened, contest.id), ...answers])
    await clear(opened, contest.id)
  }
}

/** Runs it once in each order, one after the other: each order has its own result. */
export async function runInOrder<Contest extends { readonly id: ExecutionId }>(
  open: Open,
  race: Race<Contest>,
): Promise<void> {
  const opened = await open()
  const other = (await opened.peer()).backend
  for (const isFirst of [true, false]) {
    const contest = await race.start(opened)
    const a = () => race.a(opened.backend, contest)
    const b = () => race.b(other, contest)
    const first = await settle(isFirst ? a : b)
    const second = await settle(isFirst ? b : a)
    const answers = isFirst ? [first, second] : [second, first]
    const expected = race.results[isFirst ? 0 : race.results.length - 1]
    expect([await leafOf(opened, contest.id), ...answers]).toEqual(expected)
    await clear(opened, contest.id)
  }
}
