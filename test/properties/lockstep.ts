// Plays on a real server what was played on the model, and compares everything after each step.
import { isDeepStrictEqual } from 'node:util'
import type { Bundle } from '../../scripts/bundle-lua.ts'
import { type RunningServer, startServer } from '../../scripts/servers.ts'
import { bytesMax } from '../../src/limits.ts'
import type { StoreNotice } from '../../src/persistence/store.ts'
import type { Connection } from '../../src/persistence/valkey/connection.ts'
import { openValkeyStore, type ValkeyStore } from '../../src/persistence/valkey/valkey-store.ts'
import { dumpText } from '../support/canonical.ts'
import { startMs } from '../support/settable-clock.ts'
import type { Outcome, Step } from './observation.ts'
import { outcomeOf, type Played, type PlayedStep, SequenceFailure, written } from './sequence.ts'

const namespace = 'properties'
const tag = `{hf:${namespace}:0}`

/** A server under one build of the library, emptied before every sequence. */
export class LockstepServer {
  private readonly server: RunningServer
  private readonly connection: Connection
  private readonly store: ValkeyStore
  private readonly library: string
  private notices: StoreNotice[] = []
  private onMarker: () => void = () => undefined

  private constructor(
    server: RunningServer,
    connection: Connection,
    store: ValkeyStore,
    library: string,
  ) {
    this.server = server
    this.connection = connection
    this.store = store
    this.library = library
  }

  static async start(library: Bundle, flavour: 'valkey' | 'redis'): Promise<LockstepServer> {
    // Sorted dumps must not depend on the language of whoever runs the tests.
    process.env['LC_ALL'] = 'C'
    const server = await startServer({ flavour })
    let connection: Connection | undefined
    const wrapConnection = (real: Connection) => {
      connection = real
      return real
    }
    const options = { url: server.url, namespace, partitions: 1, library, wrapConnection }
    const store = await openValkeyStore(options)
    if (connection === undefined) throw new Error('the store made no connection')
    const lockstep = new LockstepServer(server, connection, store, library.name)
    await store.listen((notice) => lockstep.hear(notice))
    return lockstep
  }

  async stop(): Promise<void> {
    await this.store.close()
    await this.server.stop()
  }

  private hear(notice: StoreNotice): void {
    if (notice.notice === 'ended' && notice.local === 'marker') this.onMarker()
    else this.notices.push(notice)
  }

  private fcall(name: string, keys: readonly string[], args: readonly number[]) {
    return this.connection.send('FCALL', [`${this.library}_${name}`, keys.length, ...keys, ...args])
  }

  /** Starts from nothing, as the model did. */
  private async empty(): Promise<void> {
    this.notices = []
    await this.connection.send('FLUSHDB', [])
    await this.fcall('clock', [], [startMs])
    await this.store.call(0, 'partition.open', { partitions: 1 })
  }

  /** Everything that was told so far; what is told on the same channel arrives in order. */
  private async heard(): Promise<readonly StoreNotice[]> {
    const marked = new Promise<void>((resolve) => {
      this.onMarker = resolve
    })
    await this.connection.send('PUBLISH', [`${tag}:wake`, 'ended marker'])
    await marked
    return this.notices
  }

  /** Throws a `SequenceFailure` that says what is different. */
  async follow(played: Played): Promise<void> {
    await this.empty()
    const results = await this.send(played.steps)
    for (const [at, step] of played.steps.entries()) {
      const { outcomes, digest } = await (results[at] as (typeof results)[number])
      const isSame = digest === step.digest && isDeepStrictEqual(outcomes, step.outcomes)
      if (isSame) continue
      const steps = played.steps.slice(0, at + 1)
      throw new SequenceFailure(await this.difference(steps), steps)
    }
    const expiring = await this.fcall('expiring', [], [])
    if (!isDeepStrictEqual(expiring, [])) {
      throw new SequenceFailure(`keys expire: ${expiring}`, played.steps)
    }
    const notices = await this.heard()
    if (!isDeepStrictEqual(notices, played.notices)) {
      const told = JSON.stringify({ server: notices, model: played.notices })
      throw new SequenceFailure(`others were told differently: ${told}`, played.steps)
    }
  }

  /** Sends all steps without waiting for answers; the server takes them one after the other. */
  private async send(steps: readonly PlayedStep[]) {
    const results: Promise<{ outcomes: readonly Outcome[]; digest: string }>[] = []
    let nowMs = startMs
    for (const step of steps) {
      if (step.nowMs !== nowMs) void this.fcall('clock', [], [step.nowMs])
      nowMs = step.nowMs
      const outcomes = Promise.all(step.calls.map((call) => outcomeOf(this.store, call)))
      // The store sends at the end of the tick.
      await new Promise<void>((resolve) => process.nextTick(resolve))
      const digest = this.fcall('digest', [tag], []).then(String)
      results.push(Promise.all([outcomes, digest]).then(([o, d]) => ({ outcomes: o, digest: d })))
      // Large inputs are fetched after their claim, so that nothing may overtake that.
      if (hasLargeInput(step)) await outcomes
    }
    return results
  }

  /** Plays the steps again, slowly, and describes the last one. */
  private async difference(steps: readonly PlayedStep[]): Promise<string> {
    await this.empty()
    let outcomes: readonly Outcome[] = []
    for (const { calls, nowMs } of steps) {
      await this.fcall('clock', [], [nowMs])
      outcomes = await Promise.all(calls.map((call) => outcomeOf(this.store, call)))
    }
    const stored = await this.fcall('dump', [tag], [])
    const last = steps.at(-1) as PlayedStep
    const text = Buffer.isBuffer(stored) ? stored.toString('latin1') : String(stored)
    return [
      'server and model differ after the last step',
      ...firstDifference(dumpText(last.after.dump), text),
      `on the server, ${written([{ ...last, outcomes }])}`,
      'on the model,',
    ].join('\n')
  }
}

function hasLargeInput({ outcomes }: Step): boolean {
  return outcomes.some(
    ({ answer }) =>
      answer !== undefined &&
      'rows' in answer &&
      answer.rows.some(({ input }) => (input?.byteLength ?? 0) > bytesMax.inlineInput),
  )
}

function firstDifference(model: string, server: string): string[] {
  if (model === server) return []
  let at = 0
  while (model[at] === server[at]) at += 1
  const from = Math.max(0, at - 120)
  return [
    `model stores  …${model.slice(from, at + 80)}`,
    `server stores …${server.slice(from, at + 80)}`,
  ]
}
