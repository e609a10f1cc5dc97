// The throwaway server of a suite, and the time that it spends on commands.

import { Redis } from 'ioredis'
import { startServer } from '../scripts/servers.ts'

/** What the server spent since the last reset. */
export interface ServerSpending {
  /** Within the named commands, in microseconds; reading requests and writing replies is not in. */
  readonly commandUs: number
  /** The whole process on its main thread, in microseconds. */
  readonly processUs: number
}

export interface BenchServer {
  readonly url: string
  /** Name and version, such as `valkey 8.1.1`. */
  readonly version: string
  clear(): Promise<void>
  resetSpending(): Promise<void>
  spending(commands: readonly string[]): Promise<ServerSpending>
  stop(): Promise<void>
}

export async function startBenchServer(): Promise<BenchServer> {
  const server = await startServer({ flavour: 'valkey' })
  const client = new Redis(server.port, '127.0.0.1')
  let processUsAtReset = 0
  const info = await client.info('server')
  const version = /^valkey_version:(\S+)/m.exec(info)?.[1] ?? 'of unknown version'
  return {
    url: server.url,
    version: `valkey ${version}`,
    async clear() {
      await client.flushall('SYNC')
    },
    async resetSpending() {
      await client.config('RESETSTAT')
      processUsAtReset = processUs(await client.info('cpu'))
    },
    async spending(commands) {
      const processUsNow = processUs(await client.info('cpu'))
      return {
        commandUs: commandUs(await client.info('commandstats'), commands),
        processUs: processUsNow - processUsAtReset,
      }
    },
    async stop() {
      client.disconnect()
      await server.stop()
    },
  }
}

function commandUs(info: string, commands: readonly string[]): number {
  let sum = 0
  for (const [, command = '', usec] of info.matchAll(/^cmdstat_([^:]+):.*?usec=(\d+)/gm)) {
    if (commands.includes(command)) sum += Number(usec)
  }
  return sum
}

function processUs(info: string): number {
  const seconds = [...info.matchAll(/^used_cpu_(?:sys|user)_main_thread:([\d.]+)/gm)]
  return seconds.reduce((sum, [, text]) => sum + Number(text) * 1e6, 0)
}
