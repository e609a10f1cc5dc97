// The store on Valkey or Redis: operations as function calls, coalesced, repeated after faults.
import { EngineError } from '../../errors.ts'
import { bytesMax } from '../../limits.ts'
import type { ExecutionEventName } from '../../machines/execution.ts'
import { checkArguments } from '../arguments.ts'
import type { Answer, Arguments, OperationName } from '../contract.ts'
import type { ClaimedRow } from '../generated/operations.ts'
import type { Durability, Store, StoreNotice } from '../store.ts'
import { Coalescer, type Outgoing, type PendingCall } from './coalescer.ts'
import { asBuffer, decodeAnswer, encodeCall, type Reply } from './codec.ts'
import { type Command, type Connection, connect } from './connection.ts'
import { classifyFault, faultError } from './fault.ts'
import {
  ensureLibrary,
  type Library,
  locate,
  requireSupportedServer,
  shippedLibrary,
} from './library.ts'

export interface ValkeyStoreOptions {
  readonly url: string
  readonly namespace: string
  /** How many hash slots the namespace spreads over; fixed when it is first used. */
  readonly partitions?: number | undefined
  /** How long a call may take in all, with every repetition, in milliseconds. */
  readonly callTimeoutMs?: number | undefined
  readonly connectTimeoutMs?: number | undefined
  readonly silenceMs?: number | undefined
  /** Another build of the library; tests use one whose clock they can set. */
  readonly library?: Library | undefined
  /** Tests replace the network by one that loses replies. */
  readonly wrapConnection?: ((connection: Connection) => Connection) | undefined
}

const repeatDelayMs = 20

/** Connects, loads the library and claims the namespace's partition count. */
export async function openValkeyStore(options: ValkeyStoreOptions): Promise<ValkeyStore> {
  const connectTimeoutMs = options.connectTimeoutMs ?? 10_000
  const silenceMs = options.silenceMs ?? 5000
  const real = await connect({ url: options.url, connectTimeoutMs, silenceMs }).catch((error) => {
    throw faultError(error)
  })
  const connection = options.wrapConnection?.(real) ?? real
  const library = options.library ?? shippedLibrary
  try {
    await Promise.all(connection.primaries().map((node) => requireSupportedServer(node)))
    await ensureLibrary(library, connection.primaries())
    const store = new ValkeyStore(connection, library, options, await probeDurability(connection))
    await store.claimNamespace()
    return store
  } catch (error) {
    await connection.close()
    throw faultError(error)
  }
}

async function probeDurability(connection: Connection): Promise<Durability> {
  const modes = await Promise.all(
    connection.primaries().map(async (node): Promise<Durability> => {
      const info = String(await node.call('INFO', 'persistence'))
      if (!/aof_enabled:1/.test(info)) return 'memory'
      // A server that hides its configuration is trusted with nothing more than the usual default.
      const config = await node.call('CONFIG', 'GET', 'appendfsync').catch(() => undefined)
      return Array.isArray(config) && config[1] === 'always' ? 'always' : 'everysec'
    }),
  )
  if (modes.includes('memory')) return 'memory'
  return modes.includes('everysec') ? 'everysec' : 'always'
}

export class ValkeyStore implements Store {
  readonly kind = 'valkey'
  readonly partitionCount: number
  readonly durability: Durability
  private readonly connection: Connection
  private readonly library: Library
  private readonly callTimeoutMs: number
  private readonly namespace: string
  private readonly coalescers: readonly Coalescer[]
  private readonly listeners = new Set<(notice: StoreNotice) => void>()
  private subscribed: Promise<void> | undefined
  private closed = false

  constructor(
    connection: Connection,
    library: Library,
    options: ValkeyStoreOptions,
    durability: Durability,
  ) {
    this.connection = connection
    this.library = library
    this.durability = durability
    this.namespace = options.namespace
    this.callTimeoutMs = options.callTimeoutMs ?? 15_000
    this.partitionCount = options.partitions ?? (connection.cluster ? 64 : 1)
    this.coalescers = Array.from(
      { length: this.partitionCount },
      (_, partition) => new Coalescer((calls) => this.sendBatch(partition, calls)),
    )
  }

  async claimNamespace(): Promise<void> {
    const answer = await this.call(0, 'partition.open', { partitions: this.partitionCount })
    if (answer.outcome === 'opened') return
    throw new EngineError(
      'partition_mismatch',
      `the namespace has ${answer.details.stored} partitions, not ${this.partitionCount}`,
      { details: answer.details },
    )
  }

  async call<Name extends OperationName>(
    partition: number,
    name: Name,
    args: Arguments<Name>,
  ): Promise<Answer<Name>> {
    if (this.closed) throw new EngineError('engine_closed', `${name} was called after closing`)
    checkArguments(name, args)
    const coalescer = this.coalescers[partition]
    if (coalescer === undefined) {
      throw new EngineError('invalid_input', `there is no partition ${partition}`, {
        details: { argument: 'partition', partitions: this.partitionCount },
      })
    }
    const reply = (await coalescer.call(this.outgoing(partition, name, args))) as Reply
    const answer = decodeAnswer(name, reply, this.locate)
    return hasRows(answer) ? this.withInputs(partition, answer) : answer
  }

  async listen(listener: (notice: StoreNotice) => void): Promise<() => void> {
    if (this.closed) throw new EngineError('engine_closed', 'listen was called after closing')
    this.subscribed ??= this.subscribe()
    try {
      await this.subscribed
    } catch (error) {
      this.subscribed = undefined
      throw faultError(error)
    }
    this.listeners.add(listener)
    return () => void this.listeners.delete(listener)
  }

  async close(): Promise<void> {
    this.closed = true
    this.listeners.clear()
    await this.connection.close()
  }

  /** A large input travels beside the function call: through Lua it would be copied thrice. */
  private outgoing<Name extends OperationName>(
    partition: number,
    name: Name,
    args: Arguments<Name>,
  ): Outgoing {
    if (!('input' in args) || args.input === undefined)
      return { wire: encodeCall(name, args), weight: weightOf(args) }
    if (args.input.byteLength <= bytesMax.inlineInput)
      return { wire: encodeCall(name, args), weight: weightOf(args) }
    const key = inputKey(this.tag(partition), args.id)
    return {
      wire: encodeCall(name, { ...args, input: undefined }),
      weight: 1,
      attachment: { key, value: asBuffer(args.input) },
    }
  }

  /** Fetches the inputs that were too large to come with their rows. They never change. */
  private async withInputs<Name extends OperationName>(
    partition: number,
    answer: Answer<Name> & { readonly rows: readonly ClaimedRow[] },
  ): Promise<Answer<Name>> {
    const large = answer.rows.filter((row) => row.input === undefined)
    if (large.length === 0) return answer
    const keys = large.map((row) => inputKey(this.tag(partition), row.id))
    const found = await this.repeat(() => this.connection.send('MGET', keys))
    large.forEach((row, index) => {
      const input = Array.isArray(found) && found[index]
      // The row was just read from the reply, so nobody else has it yet.
      if (Buffer.isBuffer(input)) (row as { input: Uint8Array | undefined }).input = input
    })
    // Without an input it was cancelled and purged since: there is no lease to hand out.
    const rows = answer.rows.filter((row) => row.input !== undefined)
    return Object.assign(answer, { rows })
  }

  private readonly locate = (message: string): string => locate(message, this.library.lines)

  private tag(partition: number): string {
    return `{hf:${this.namespace}:${partition}}`
  }

  private subscribe(): Promise<void> {
    const partitionOf = new Map(this.coalescers.map((_, at) => [`${this.tag(at)}:wake`, at]))
    const tell = (notice: StoreNotice) => {
      for (const listener of this.listeners) listener(notice)
    }
    return this.connection.subscribe(
      [...partitionOf.keys()],
      (channel, message) => {
        const notice = readNotice(partitionOf.get(channel), message)
        if (notice !== undefined) tell(notice)
      },
      () => tell({ notice: 'gap' }),
    )
  }

  private sendBatch(partition: number, calls: readonly PendingCall[]): Promise<Reply[]> {
    const args: (string | number | Uint8Array)[] = [this.library.name, 1, this.tag(partition)]
    const attached: Command[] = []
    for (const { wire, attachment } of calls) {
      for (const part of wire) args.push(part)
      if (attachment !== undefined) {
        attached.push(['SET', attachment.key, attachment.value, 'NX'])
      }
    }
    return this.repeat(() =>
      attached.length === 0
        ? this.connection.send('FCALL', args)
        : this.connection.transact([...attached, ['FCALL', ...args]]),
    ) as Promise<Reply[]>
  }

  /** Sends again and again until there is an answer or the time is over. */
  private async repeat(send: () => Promise<Reply>): Promise<Reply> {
    const startedMs = performance.now()
    for (;;) {
      const leftMs = this.callTimeoutMs - (performance.now() - startedMs)
      try {
        return await within(leftMs, send())
      } catch (error) {
        await this.recover(error, startedMs)
      }
    }
  }

  /** Returns when the call may be repeated; throws when repeating cannot help or time is over. */
  private async recover(error: unknown, startedMs: number): Promise<void> {
    const fault = classifyFault(error)
    if (this.closed)
      throw new EngineError('engine_closed', 'the connection was closed', { cause: error })
    if (fault === 'out_of_memory' || fault === 'other') throw faultError(error)
    const leftMs = this.callTimeoutMs - (performance.now() - startedMs)
    if (leftMs <= 0) {
      throw new EngineError('connection_timeout', `no answer within ${this.callTimeoutMs} ms`, {
        cause: error,
        details: { timeoutMs: this.callTimeoutMs },
      })
    }
    if (fault === 'library_missing') {
      await ensureLibrary(this.library, this.connection.primaries()).catch(() => undefined)
      return
    }
    await this.connection.settled(leftMs)
    await new Promise((resolve) => setTimeout(resolve, Math.min(repeatDelayMs, leftMs)))
  }
}

function hasRows<Value extends object>(
  answer: Value,
): answer is Value & { readonly rows: readonly ClaimedRow[] } {
  return 'rows' in answer
}

/** A claim or a sweep may touch as many executions as it asks for. */
function weightOf(args: object): number {
  return 'count' in args && typeof args.count === 'number' ? Math.max(1, args.count) : 1
}

/** The key of an input, which is read and written beside the functions; see lua/lib/keys.lua. */
function inputKey(tag: string, local: string): string {
  return `${tag}:in:${local}`
}

function within<Value>(ms: number, promise: Promise<Value>): Promise<Value> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('Command timed out')), Math.max(ms, 1))
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

function readNotice(partition: number | undefined, message: string): StoreNotice | undefined {
  if (partition === undefined) return undefined
  const lane = /^lane (\d+) (.+)$/.exec(message)
  if (lane !== null) {
    return { notice: 'lane', partition, lane: lane[2] as string, inMs: Number(lane[1]) }
  }
  if (message === 'events' || message === 'backlog' || message === 'owed')
    return { notice: message, partition }
  const lost = /^lost (\S+) (\d+) (\w+)$/.exec(message)
  if (lost !== null) {
    const [, local = '', epoch, event] = lost
    const named = event as ExecutionEventName
    return { notice: 'lost', partition, local, epoch: Number(epoch), event: named }
  }
  const about = /^(ended|frames) (\S+)$/.exec(message)
  if (about === null) return undefined
  return { notice: about[1] as 'ended' | 'frames', partition, local: about[2] as string }
}
