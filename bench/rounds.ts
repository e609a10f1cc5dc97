// Rounds that treat all contestants alike and take turns, because the machine is never quiet.

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { Contestant, Payload, Session } from './contestant.ts'
import type { BenchServer } from './server.ts'

/** What one contestant did in one round. */
export interface LifecycleSample {
  readonly submitsPerS: number
  readonly pairsPerS: number
  readonly submitUs: number
  readonly processUs: number
  /** The server's whole time, in microseconds per lifecycle. */
  readonly serverUs: number
}

/**
 * Calls `round` for every contestant in turn, `rounds` times after one that warms up and does not
 * count. Each call gets a name of its own and an empty server.
 */
export async function takeTurns<Each, Sample>(
  server: BenchServer,
  rounds: number,
  contestants: readonly Each[],
  round: (contestant: Each, name: string, isWarmUp: boolean) => Promise<Sample>,
): Promise<Map<Each, Sample[]>> {
  const samples = new Map<Each, Sample[]>(contestants.map((contestant) => [contestant, []]))
  for (let turn = 0; turn <= rounds; turn++) {
    for (const [index, contestant] of contestants.entries()) {
      await server.clear()
      collectGarbage()
      const sample = await round(contestant, `bench-${turn}-${index}`, turn === 0)
      if (turn > 0) samples.get(contestant)?.push(sample)
    }
  }
  return samples
}

/** Submits all payloads, so many callers at a time, processes them, and verifies the outcome. */
export async function lifecycleRound(
  server: BenchServer,
  session: Session,
  { payloads, callers }: { payloads: readonly Payload[]; callers: number },
): Promise<LifecycleSample> {
  const count = payloads.length
  await server.resetSpending()
  const submitMs = await elapsedMs(() => submitAll(session, payloads, callers))
  const submitting = await server.spending()
  await server.resetSpending()
  const processMs = await session.process(count)
  const processing = await server.spending()
  await session.verifyCompleted(count)
  return {
    submitsPerS: perSecond(count, submitMs),
    pairsPerS: perSecond(count, processMs),
    submitUs: submitting.commandsUs / count,
    processUs: processing.commandsUs / count,
    serverUs: (submitting.processUs + processing.processUs) / count,
  }
}

async function submitAll(session: Session, payloads: readonly Payload[], callers: number) {
  const rest = payloads.values()
  const call = async () => {
    for (const payload of rest) await session.submit(payload)
  }
  await Promise.all(Array.from({ length: callers }, call))
}

/** Submits all payloads, so many with one call, one call after the other; answers with the rate. */
export async function bulkRound(
  session: Session,
  payloads: readonly Payload[],
  size: number,
): Promise<number> {
  const ms = await elapsedMs(() => submitInBulk(session, payloads, size))
  await session.verifyWaiting(payloads.length)
  return perSecond(payloads.length, ms)
}

export async function submitInBulk(session: Session, payloads: readonly Payload[], size: number) {
  for (let start = 0; start < payloads.length; start += size) {
    await session.submitMany(payloads.slice(start, start + size))
  }
}

/** Runs `use` with a fresh session and closes it, whatever happens. */
export async function withSession<Value>(
  server: BenchServer,
  contestant: Contestant,
  name: string,
  use: (session: Session) => Promise<Value>,
): Promise<Value> {
  const session = await contestant.open(server.url, name)
  try {
    return await use(session)
  } finally {
    await session.close()
  }
}

export function perSecond(count: number, ms: number): number {
  return (count / ms) * 1000
}

async function elapsedMs(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now()
  await work()
  return performance.now() - startedMs
}

let collect: (() => void) | undefined

/** So that no contestant pays for what the one before has left. */
function collectGarbage(): void {
  if (collect === undefined) {
    setFlagsFromString('--expose-gc')
    collect = runInNewContext('gc') as () => void
  }
  collect()
}
