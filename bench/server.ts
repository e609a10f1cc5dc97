// The throwaway server of a suite, and the time that it spends on commands.

import { Redis } from 'ioredis'
import { startServer } from '../scripts/servers.ts'

/** What the server spent since the last reset, in microseconds. */
export interface ServerSpending {
  /** Executing commands, functions and scripts; reading requests and writing replies is not in. */
  readonly commandsUs: number
  /** The whole process on its main thread. */
  readonly processUs: number
}

export interface BenchServer {
  readonly url: string
  /** Name and version, such as `valkey 8.1.1`. */
  readonly version: string
  clear(): Promise<void>
  resetSpending(): Promise<void>
  spending(): Promise<ServerSpending>
  stop(): Promise<void>
}

export async function startBenchServer(): Promise<BenchServer> {
  const server = await startServer({ flavour: 'valkey' })
  const client = new Redis(server.port, '127.0.0.1')
  const version = /^valkey_version:(\S+)/m.exec(await client.info('server'))?.[1] ?? 'unknown'
  let atReset = await readSpending(client)
  return {
    url: server.url,
    version: `valkey ${version}`,
    async clear() {
      await client.flushall('SYNC')
    },
    async resetSpending() {
      atReset = await readSpending(client)
    },
    async spending() {
      const now = await readSpending(client)
      return {
        commandsUs: now.commandsUs - atReset.commandsUs,
        processUs: now.processUs - atReset.processUs,
      }
    },
    async stop() {
      client.disconnect()
      await server.stop()
    },
  }
}

/**
 * The event loop's own sum counts each command once. The sums per command count what a function or
 * a transaction calls again, and cannot be told apart afterwards.
 */
async function readSpending(client: Redis): Promise<ServerSpending> {
  const stats = await client.info('stats')
  const commandsUs = /^eventloop_duration_cmd_sum:(\d+)/m.exec(stats)?.[1]
  if (commandsUs === undefined) throw new Error('this server does not tell its time in commands')
  const cpu = await client.info('cpu')
  const seconds = [...cpu.matchAll(/^used_cpu_(?:sys|user)_main_thread:([\d.]+)/gm)]
  return {
    commandsUs: Number(commandsUs),
    processUs: seconds.reduce((sum, [, text]) => sum + Number(text) * 1e6, 0),
  }
}
