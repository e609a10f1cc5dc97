// The connections to a server or a cluster: one for commands, one for subscriptions.
import { Cluster, Redis } from 'ioredis'
import { EngineError } from '../../errors.ts'
import type { Reply } from './codec.ts'

export interface ConnectionOptions {
  /** `valkey://`, `valkeys://` (TLS), `redis://` or `rediss://`. One node of a cluster is enough. */
  readonly url: string
  /** How long to wait for the first connection, in milliseconds. */
  readonly connectTimeoutMs: number
  /** A connection that owes an answer and is silent for so long is replaced, in milliseconds. */
  readonly silenceMs: number
}

/** A command and its arguments. */
export type Command = readonly [name: string, ...args: (string | number | Uint8Array)[]]

/** What the store needs of the network. */
export interface Connection {
  readonly cluster: boolean
  /** Sends one command for the slot of its first key. */
  send(command: string, args: readonly (string | number | Uint8Array)[]): Promise<Reply>
  /** Sends commands for one slot as one transaction; answers with the reply to the last one. */
  transact(commands: readonly Command[]): Promise<Reply>
  /** Every primary, for what concerns whole servers. */
  primaries(): readonly Redis[]
  /** Resolves when commands can be sent again, or after `timeoutMs`. */
  settled(timeoutMs: number): Promise<void>
  /** Resolves once subscribed; `onGap` says that messages may have been missed. */
  subscribe(
    channels: readonly string[],
    onMessage: (channel: string, message: string) => void,
    onGap: () => void,
  ): Promise<void>
  close(): Promise<void>
}

/** What holds for every connection, alone or in a cluster. */
function commonOptions({ connectTimeoutMs, silenceMs }: ConnectionOptions) {
  return {
    connectTimeout: connectTimeoutMs,
    socketTimeout: silenceMs,
    // Our own retries decide what is repeated, so the client library must not queue or resend.
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    protocol: 2,
  } as const
}

/** How long a shared wait lasts before its callers look again. */
const gateMs = 1000

const reconnectDelayMs = (times: number): number => Math.min(20 * 2 ** Math.min(times, 6), 1000)

function singleOptions(options: ConnectionOptions) {
  return {
    ...commonOptions(options),
    lazyConnect: true,
    enableOfflineQueue: false,
    retryStrategy: reconnectDelayMs,
  }
}

function clientUrl(url: string): string {
  const known = /^(valkey|redis)(s?):\/\/(.+)$/.exec(url)
  if (known === null) {
    throw new EngineError('invalid_input', 'url is not like valkey://host:port', {
      details: { argument: 'url' },
    })
  }
  const readable = `redis${known[2]}://${known[3]}`
  if (URL.canParse(readable)) return readable
  throw new EngineError('invalid_input', 'url cannot be read', { details: { argument: 'url' } })
}

/** Connects, and finds out whether there is one server or a cluster. */
export async function connect(options: ConnectionOptions): Promise<Connection> {
  const url = clientUrl(options.url)
  const single = new Redis(url, singleOptions(options))
  await firstConnection(single, options)
  try {
    const info = String(await single.call('INFO', 'cluster'))
    if (!/cluster_enabled:1/.test(info)) return new SingleConnection(single, options)
  } catch (error) {
    single.disconnect()
    throw error
  }
  return connectCluster(single, options)
}

async function connectCluster(single: Redis, options: ConnectionOptions): Promise<Connection> {
  const { host, port, password, username } = single.options
  const cluster = new Cluster([{ host: host as string, port: port as number }], {
    redisOptions: {
      ...commonOptions(options),
      ...(password === undefined ? {} : { password }),
      ...(username === undefined ? {} : { username }),
    },
    enableReadyCheck: true,
    lazyConnect: true,
    clusterRetryStrategy: reconnectDelayMs,
    // What may have been performed is repeated by us alone, where it is known to be a repetition.
    retryDelayOnFailover: 0,
    retryDelayOnClusterDown: 50,
    maxRedirections: 8,
  })
  cluster.on('error', ignore)
  single.disconnect()
  try {
    await cluster.connect()
  } catch (error) {
    cluster.disconnect()
    throw error
  }
  return new ClusterConnection(cluster, options)
}

/** Faults reach callers through their own calls; an unheard event would end the process. */
function ignore(): void {}

async function firstConnection(redis: Redis, { url, connectTimeoutMs }: ConnectionOptions) {
  let lastError: Error | undefined
  const denied = new Promise<boolean>((resolve) => {
    redis.on('error', (error: Error) => {
      lastError = error
      if (isDenied(error)) resolve(false)
    })
  })
  redis.connect().catch(ignore)
  if (await Promise.race([becomesReady(redis, connectTimeoutMs), denied])) return
  redis.disconnect()
  const { host } = new URL(url)
  const why = lastError?.message ?? ''
  const options = { cause: lastError, details: { host, timeoutMs: connectTimeoutMs } }
  if (lastError !== undefined && isDenied(lastError)) {
    throw new EngineError('access_denied', `${host} refused the connection: ${why}`, options)
  }
  const what = `no server at ${host} within ${connectTimeoutMs} ms${why === '' ? '' : `: ${why}`}`
  throw new EngineError('connection_timeout', what, options)
}

function isDenied({ message }: Error): boolean {
  return /WRONGPASS|NOAUTH|NOPERM|invalid password|without any password/.test(message)
}

function becomesReady(client: Redis | Cluster, timeoutMs: number): Promise<boolean> {
  if (client.status === 'ready') return Promise.resolve(true)
  return new Promise((resolve) => {
    const finish = (ready: boolean) => {
      clearTimeout(timer)
      client.off('ready', onReady)
      client.off('end', onEnd)
      resolve(ready)
    }
    const onReady = () => finish(true)
    const onEnd = () => finish(false)
    const timer = setTimeout(() => finish(false), timeoutMs)
    client.on('ready', onReady)
    client.on('end', onEnd)
  })
}

async function transact(client: Redis | Cluster, commands: readonly Command[]): Promise<Reply> {
  const transaction = client.multi()
  for (const [name, ...args] of commands) transaction.callBuffer(name, ...(args as string[]))
  const replies = await transaction.exec().catch((aborted) => {
    // Why a transaction was given up stands with the command that was refused.
    throw aborted.previousErrors?.[0] ?? aborted
  })
  const [error, reply] = replies?.at(-1) ?? [new Error('Connection is closed')]
  if (error !== null) throw error
  return reply as Reply
}

/** One wait for all calls that met the same fault. */
class ReadyGate {
  private readonly client: Redis | Cluster
  private waiting: Promise<boolean> | undefined

  constructor(client: Redis | Cluster) {
    this.client = client
  }

  /** Resolves when the client is ready, or after a moment: the caller looks again. */
  async pass(timeoutMs: number): Promise<void> {
    this.waiting ??= becomesReady(this.client, gateMs).finally(() => {
      this.waiting = undefined
    })
    let timer: NodeJS.Timeout | undefined
    const late = new Promise((resolve) => {
      timer = setTimeout(resolve, timeoutMs)
    })
    await Promise.race([this.waiting, late])
    clearTimeout(timer)
  }
}

class SingleConnection implements Connection {
  readonly cluster = false
  private readonly redis: Redis
  private readonly options: ConnectionOptions
  private readonly gate: ReadyGate
  private subscriber: Redis | undefined
  private heartbeat: NodeJS.Timeout | undefined

  constructor(redis: Redis, options: ConnectionOptions) {
    this.redis = redis
    this.options = options
    this.gate = new ReadyGate(redis)
  }

  send(command: string, args: readonly (string | number | Uint8Array)[]): Promise<Reply> {
    return this.redis.callBuffer(command, ...(args as string[])) as Promise<Reply>
  }

  transact(commands: readonly Command[]): Promise<Reply> {
    return transact(this.redis, commands)
  }

  primaries(): readonly Redis[] {
    return [this.redis]
  }

  async settled(timeoutMs: number): Promise<void> {
    await this.gate.pass(timeoutMs)
  }

  async subscribe(
    channels: readonly string[],
    onMessage: (channel: string, message: string) => void,
    onGap: () => void,
  ): Promise<void> {
    const subscriber = this.redis.duplicate(singleOptions(this.options))
    this.subscriber?.disconnect()
    this.subscriber = subscriber
    subscriber.on('error', ignore)
    subscriber.on('message', onMessage)
    await firstConnection(subscriber, this.options)
    await subscriber.subscribe(...channels)
    // It subscribes again by itself; the answer to what is asked after that says that it has.
    subscriber.on('ready', () => void subscriber.ping().then(onGap, ignore))
    // A subscriber owes no answers, so a dead connection would stay unnoticed without questions.
    this.heartbeat = setInterval(() => {
      subscriber.ping().catch(ignore)
    }, this.options.silenceMs)
    this.heartbeat.unref()
  }

  async close(): Promise<void> {
    clearInterval(this.heartbeat)
    this.subscriber?.disconnect()
    this.redis.disconnect()
  }
}

class ClusterConnection implements Connection {
  readonly cluster = true
  private readonly client: Cluster
  private readonly gate: ReadyGate
  private readonly options: ConnectionOptions
  private heartbeat: NodeJS.Timeout | undefined

  constructor(client: Cluster, options: ConnectionOptions) {
    this.client = client
    this.options = options
    this.gate = new ReadyGate(client)
  }

  send(command: string, args: readonly (string | number | Uint8Array)[]): Promise<Reply> {
    return this.client.callBuffer(command, ...(args as string[])) as Promise<Reply>
  }

  transact(commands: readonly Command[]): Promise<Reply> {
    return transact(this.client, commands)
  }

  primaries(): readonly Redis[] {
    return this.client.nodes('master')
  }

  async settled(timeoutMs: number): Promise<void> {
    await this.gate.pass(timeoutMs)
  }

  async subscribe(
    channels: readonly string[],
    onMessage: (channel: string, message: string) => void,
    onGap: () => void,
  ): Promise<void> {
    this.client.on('message', onMessage)
    await this.client.subscribe(...channels)
    this.client.on('+node', onGap)
    // The cluster client moves its subscription between nodes without saying so.
    this.heartbeat = setInterval(onGap, this.options.silenceMs)
    this.heartbeat.unref()
  }

  async close(): Promise<void> {
    clearInterval(this.heartbeat)
    this.client.disconnect()
  }
}
