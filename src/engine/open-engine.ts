// Opens an engine on the backend that the options name.
import { EngineError } from '../errors.ts'
import { bounds } from '../limits.ts'
import { checkWhole } from '../persistence/arguments.ts'
import { openDirectory } from '../persistence/embedded/directory.ts'
import { openEmbeddedStore } from '../persistence/embedded/embedded-store.ts'
import type { Store } from '../persistence/store.ts'
import { createBackend } from '../persistence/store-backend.ts'
import { openValkeyStore } from '../persistence/valkey/valkey-store.ts'
import { type Duration, parseDurationMs } from '../time.ts'
import { Engine, type EngineOptions } from './engine.ts'
import type { Codec } from './json-codec.ts'

export interface OpenEngineOptions extends EngineOptions {
  /**
   * A Valkey or Redis server, or one node of a cluster: `valkey://host:port`.
   * @defaultValue none: executions live in this process
   */
  readonly url?: string
  /**
   * Without `url`: where to keep executions, so that they survive the process.
   * @defaultValue none: they are kept in memory
   */
  readonly directory?: string
  /**
   * With `directory`: whether an acknowledged write survives a crash of the process (`committed`)
   * or of the machine (`flushed`). @defaultValue 'committed'
   */
  readonly durability?: 'committed' | 'flushed'
  /** Keeps applications on one server apart. @defaultValue 'default' */
  readonly namespace?: string
  /**
   * With `url`: how many hash slots the namespace spreads over; fixed at its first use.
   * @defaultValue 64 in a cluster, otherwise 1
   */
  readonly partitions?: number
  /**
   * How long a call to the server may take in all, repetitions included, and how long connecting
   * may take. @defaultValue '15s' for calls, '10s' to connect
   */
  readonly callTimeout?: Duration
}

/**
 * Opens an engine. Without options it lives in this process's memory; with a `directory` its
 * executions survive the process; with a `url` many processes share them.
 *
 * Work starts at least once and has one accepted outcome; every write is fenced. What an
 * acknowledged write survives is told by `engine.backend.durability`: a failover to an asynchronous
 * replica can lose the newest acknowledged writes whatever the mode.
 *
 * @throws EngineError `invalid_input`; `connection_timeout` when no server answers;
 * `server_unsupported`; `partition_mismatch`; `directory_in_use`; `directory_invalid`.
 * @example
 * ```ts
 * import { openEngine } from 'holdfast'
 *
 * const engine = await openEngine()
 * console.log(engine.backend.durability)
 * // memory
 * await engine.close()
 * ```
 */
export async function openEngine(options: OpenEngineOptions = {}): Promise<Engine> {
  const { url, directory, namespace = 'default' } = options
  checkNamespace(namespace)
  if (url !== undefined && directory !== undefined) refuse('directory', 'excludes url')
  if (directory === '') refuse('directory', 'is empty')
  checkOptions(options)
  const store = url === undefined ? await openLocal(options) : await openServer(options, url)
  return new Engine(createBackend(store), options)
}

function refuse(argument: string, why: string): never {
  throw new EngineError('invalid_input', `${argument} ${why}`, { details: { argument, why } })
}

function checkOptions({ callTimeout, codec, durability, signalUrl }: OpenEngineOptions): void {
  if (callTimeout !== undefined && parseDurationMs(callTimeout, 'callTimeout') === 0) {
    refuse('callTimeout', 'leaves no time for any call')
  }
  if (codec !== undefined && !isCodec(codec)) refuse('codec', 'cannot encode and decode')
  if (durability !== undefined && durability !== 'committed' && durability !== 'flushed') {
    refuse('durability', 'is neither committed nor flushed')
  }
  if (signalUrl !== undefined && !isBase(signalUrl)) {
    refuse('signalUrl', 'is no address of http or https without ? and #')
  }
}

function isCodec(codec: Partial<Codec>): boolean {
  return typeof codec.encode === 'function' && typeof codec.decode === 'function'
}

/** Whether a token can be appended as one more part of the path. */
function isBase(address: string): boolean {
  return /^https?:\/\/[^?#]+$/.test(address) && URL.canParse(address)
}

function checkNamespace(namespace: string): void {
  if (/^[a-z0-9][a-z0-9_-]{0,31}$/.test(namespace)) return
  refuse('namespace', 'is not up to 32 lower-case letters, digits, - or _')
}

async function openLocal({
  directory,
  durability = 'committed',
}: OpenEngineOptions): Promise<Store> {
  if (directory === undefined) return openEmbeddedStore()
  return openEmbeddedStore({ directory: await openDirectory(directory, { durability }) })
}

function openServer(options: OpenEngineOptions, url: string): Promise<Store> {
  const { namespace = 'default', callTimeout, partitions } = options
  if (partitions !== undefined) {
    checkWhole('partitions', partitions, bounds.partition_count)
  }
  const callTimeoutMs =
    callTimeout === undefined ? undefined : parseDurationMs(callTimeout, 'callTimeout')
  return openValkeyStore({
    url,
    namespace,
    partitions,
    callTimeoutMs,
    // Whoever cannot wait long for an answer cannot wait long for a server either.
    connectTimeoutMs: callTimeoutMs,
  })
}
