// Runs a sequence on a server through the real store, and tells where it differs from the model.
import { isDeepStrictEqual } from 'node:util'
import type { Bundle } from '../../scripts/bundle-lua.ts'
import { type RunningServer, startServer } from '../../scripts/servers.ts'
import { bytesMax } from '../../src/limits.ts'
import type { Answer, OperationName } from '../../src/persistence/contract.ts'
import type { Reply } from '../../src/persistence/valkey/codec.ts'
import type { Connection } from '../../src/persistence/valkey/connection.ts'
import { openValkeyStore, ValkeyStore } from '../../src/persistence/valkey/valkey-store.ts'
import { parseDump, sha1 } from '../support/canonical.ts'
import type { Performed } from './checkers/performed.ts'
import type { Subject } from './model-run.ts'
import { written } from './written.ts'

const namespace = 'properties'
const tag = `{hf:${namespace}:0}`

/** One sequence on its way. */
export interface Session {
  /** Sends a step, without waiting for what comes of it. */
  add(step: Performed): void
  /** The first step at which the server differs from the model, as text; undefined for none. */
  finish(): Promise<string | undefined>
}

export interface LockstepServer {
  /** Empties the server for a sequence of its own. */
  begin(): Promise<Session>
  /** The first step at which the server differs from the model, as text; undefined for none. */
  difference(performed: readonly Performed[]): Promise<string | undefined>
  /** The server alone, emptied: checkers have to find its faults without the model's help. */
  subject(): Promise<Subject>
  stop(): Promise<void>
}

/** With `HOLDFAST_PROPERTY_FLAVOUR=redis` the server is a Redis. */
export async function startLockstep(library: Bundle): Promise<LockstepServer> {
  // Sorted dumps must not depend on the language of whoever runs the tests.
  process.env.LC_ALL = 'C'
  const flavour = process.env.HOLDFAST_PROPERTY_FLAVOUR === 'redis' ? 'redis' : 'valkey'
  const server: RunningServer = await startServer({ flavour })
  const { url } = server
  let connection: Connection | undefined
  const store = await openValkeyStore({
    url,
    namespace,
    library,
    wrapConnection: (real) => {
      connection = real
      return real
    },
  })
  const run = new ServerRun(store, connection as Connection, library, url)
  return {
    begin: () => run.begin(),
    subject: () => run.subject(),
    async difference(performed) {
      const session = await run.begin()
      for (const step of performed) session.add(step)
      return session.finish()
    },
    async stop() {
      await store.close()
      await server.stop()
    },
  }
}

type Outcome = { readonly answer: Answer<OperationName> } | { readonly error: unknown }

interface Result {
  readonly outcome: Outcome
  /** Of everything stored after the step. */
  readonly digest: string
}

class ServerRun {
  private readonly store: ValkeyStore
  private readonly connection: Connection
  private readonly library: Bundle
  private readonly url: string

  constructor(store: ValkeyStore, connection: Connection, library: Bundle, url: string) {
    this.store = store
    this.connection = connection
    this.library = library
    this.url = url
  }

  /** All steps travel at once, each with its time before and a digest of everything after it. */
  async begin(): Promise<Session> {
    await this.empty()
    const performed: Performed[] = []
    const sent: Promise<Result>[] = []
    return {
      add: (step) => {
        performed.push(step)
        sent.push(this.send(step))
      },
      finish: async () => this.difference(performed, await Promise.all(sent)),
    }
  }

  async subject(): Promise<Subject> {
    await this.empty()
    return {
      call: async (nowMs, { name, args }) => {
        await this.fcall('clock', [], [nowMs])
        return this.store.call(0, name, args as never)
      },
      dump: async () => {
        const text = (await this.fcall('dump', [tag], [])) as Buffer
        return parseDump(text.toString('latin1'))
      },
    }
  }

  private async difference(performed: readonly Performed[], results: readonly Result[]) {
    const expiring = await this.fcall('expiring', [], [])
    if ((expiring as readonly Reply[]).length > 0) return 'the server lets keys expire'
    const at = results.findIndex(({ outcome, digest }, index) => {
      const step = performed[index] as Performed
      return digest !== sha1(step.after.text) || !agrees(step, outcome)
    })
    const differing = results[at]
    if (differing === undefined) return undefined
    return this.describe(performed.slice(0, at + 1), differing.outcome)
  }

  private async empty(): Promise<void> {
    await this.connection.send('FLUSHDB', [])
    await this.store.claimNamespace()
  }

  /**
   * A store of its own for each step, on the one connection: calls of one store would travel
   * together, under one time.
   */
  private async send(step: Performed): Promise<Result> {
    const { name, args } = step.call
    let digest: Promise<Reply> = Promise.resolve(null)
    let inputs: Promise<Reply> | undefined
    const watched = (perform: () => Promise<Reply>) => {
      void this.fcall('clock', [], [step.nowMs])
      const reply = perform()
      digest = this.fcall('digest', [tag], [])
      // Later steps are on their way already and may purge what this one has to fetch.
      const keys = largeInputs(step)
      inputs = keys.length === 0 ? undefined : this.connection.send('MGET', keys)
      return reply
    }
    const connection: Connection = Object.assign(Object.create(this.connection) as Connection, {
      send: (command: string, parts: readonly (string | number | Uint8Array)[]) => {
        if (command === 'FCALL') return watched(() => this.connection.send(command, parts))
        if (command === 'MGET' && isDeepStrictEqual(parts, largeInputs(step))) return inputs
        throw new Error(`unexpected ${command} ${parts.join(' ')}`)
      },
      transact: (commands: Parameters<Connection['transact']>[0]) =>
        watched(() => this.connection.transact(commands)),
    })
    const options = { url: this.url, namespace }
    const store = new ValkeyStore(connection, this.library, options, 'memory')
    const outcome = await store.call(0, name, args as never).then(
      (answer): Outcome => ({ answer }),
      (error: unknown): Outcome => ({ error }),
    )
    return { outcome, digest: String(await digest) }
  }

  private fcall(
    suffix: string,
    keys: readonly string[],
    args: readonly (string | number)[],
  ): Promise<Reply> {
    const parts = [`${this.library.name}_${suffix}`, keys.length, ...keys, ...args]
    return this.connection.send('FCALL', parts)
  }

  private async describe(performed: readonly Performed[], outcome: Outcome): Promise<string> {
    const last = performed.at(-1) as Performed
    await this.empty()
    await Promise.all(performed.map((step) => this.send(step)))
    const dump = (await this.fcall('dump', [tag], [])) as Buffer
    const answer = 'answer' in outcome ? written(outcome.answer) : String(outcome.error)
    return [
      `model answers  ${written(last.answer)}`,
      `server answers ${answer}`,
      ...firstDifference(last.after.text, dump.toString('latin1')),
    ].join('\n')
  }
}

/** Keys of the inputs that a claim's rows do not carry. */
function largeInputs({ answer }: Performed): string[] {
  if (!('rows' in answer)) return []
  const large = answer.rows.filter(({ input }) => (input?.byteLength ?? 0) > bytesMax.inlineInput)
  return large.map(({ id }) => `${tag}:in:${id}`)
}

function agrees(step: Performed, outcome: Outcome): boolean {
  return 'answer' in outcome && written(step.answer) === written(outcome.answer)
}

function firstDifference(model: string, server: string): string[] {
  if (model === server) return []
  let at = 0
  while (model[at] === server[at]) at += 1
  const from = Math.max(0, at - 160)
  return [
    `model stores  …${model.slice(from, at + 80)}`,
    `server stores …${server.slice(from, at + 80)}`,
  ]
}
