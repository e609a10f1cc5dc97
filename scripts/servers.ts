// Starts and stops throwaway servers, alone or as a cluster, for tests and benches.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { findOrInstall } from './install-servers.ts'

export type Flavour = 'valkey' | 'redis'

export type RunningServer = {
  url: string
  port: number
  pid: number
  dir: string
  stop(): Promise<void>
  kill(signal: NodeJS.Signals): void
}

export type RunningCluster = {
  /** The first node; the others are found through it. */
  url: string
  nodes: string[]
  stop(): Promise<void>
}

const host = '127.0.0.1'
const startAttemptsMax = 5
const startTimeoutMs = 10_000
const clusterTimeoutMs = 30_000
const pollMs = 5

/** Paths of both server binaries, installed first where they are missing and that is possible. */
export async function ensureServers(): Promise<Record<Flavour, string>> {
  return await findOrInstall('valkey', 'redis')
}

/** Starts a server without persistence, on a free port of its own, and waits for its PONG. */
export async function startServer(options: {
  flavour: Flavour
  extraArgs?: string[]
}): Promise<RunningServer> {
  const { flavour, extraArgs = [] } = options
  const binary = await findBinary(flavour)
  for (let attempt = 1; ; attempt++) {
    const port = await findFreePort()
    const dir = mkdtempSync(join(tmpdir(), 'holdfast-server-'))
    const child = spawnServer(binary, dir, ['--port', `${port}`, ...extraArgs])
    try {
      await waitForPong(child, port)
      return {
        url: `${flavour}://${host}:${port}`,
        port,
        pid: child.pid as number,
        dir,
        stop: () => stop(child),
        kill: (signal) => void child.kill(signal),
      }
    } catch (cause) {
      const log = readFileSync(join(dir, 'server.log'), 'utf8').trim()
      await stop(child)
      // Another process may have bound the port since we looked: that alone is worth another try.
      if (attempt < startAttemptsMax && /Address already in use/.test(log)) continue
      throw new Error(`${binary} did not start: ${(cause as Error).message}\n${log}`, { cause })
    }
  }
}

/** Starts primaries that share all slots, and waits until each of them knows all of them. */
export async function startCluster(options: {
  flavour: Flavour
  primaries: number
}): Promise<RunningCluster> {
  const { flavour, primaries } = options
  const extraArgs = ['--cluster-enabled', 'yes', '--cluster-announce-ip', host]
  const servers: RunningServer[] = []
  const clients: Redis[] = []
  const stopAll = async () => void (await Promise.all(servers.map((server) => server.stop())))
  try {
    for (let index = 0; index < primaries; index++) {
      const server = await startServer({ flavour, extraArgs })
      servers.push(server)
      clients.push(new Redis(server.port, host))
    }
    await joinNodes(
      clients,
      servers.map((server) => server.port),
    )
    const nodes = servers.map((server) => server.url)
    return { url: nodes[0] ?? '', nodes, stop: stopAll }
  } catch (error) {
    await stopAll()
    throw error
  } finally {
    for (const client of clients) client.disconnect()
  }
}

const binaries = new Map<Flavour, Promise<string>>()

/** Looks once per process: a start should cost a start, not a search of PATH. */
function findBinary(flavour: Flavour): Promise<string> {
  const known = binaries.get(flavour)
  if (known) return known
  const found = findOrInstall(flavour).then((paths) => paths[flavour])
  binaries.set(flavour, found)
  return found
}

// A cluster node also listens on its port + 10,000; both stay below the ports that the kernel
// hands to outgoing connections.
const portMin = 10_000
const busOffset = 10_000

async function findFreePort(): Promise<number> {
  for (;;) {
    const port = portMin + Math.floor(Math.random() * busOffset)
    if ((await isFree(port)) && (await isFree(port + busOffset))) return port
  }
}

async function isFree(port: number): Promise<boolean> {
  const probe = createServer()
  try {
    probe.listen(port, host)
    await once(probe, 'listening')
    return true
  } catch {
    return false
  } finally {
    probe.close()
  }
}

const folders = new Map<ChildProcess, string>()

process.once('exit', () => {
  for (const [child, dir] of folders) {
    child.kill('SIGKILL')
    rmSync(dir, { recursive: true, force: true })
  }
})

// Where Linux offers it, the kernel ends the server with us even when we are killed outright.
const deathPact = existsSync('/usr/bin/setpriv')
  ? ['/usr/bin/setpriv', '--pdeathsig', 'KILL', '--']
  : []

function spawnServer(binary: string, dir: string, args: string[]): ChildProcess {
  const log = openSync(join(dir, 'server.log'), 'w')
  const fixed = ['--bind', host, '--dir', dir, '--save', '', '--appendonly', 'no']
  const [command = binary, ...rest] = [...deathPact, binary, ...fixed, ...args]
  const child = spawn(command, rest, { stdio: ['ignore', log, log] })
  closeSync(log)
  folders.set(child, dir)
  return child
}

async function waitForPong(child: ChildProcess, port: number): Promise<void> {
  const patience = { retryStrategy: () => pollMs, maxRetriesPerRequest: null }
  const client = new Redis({ host, port, ...patience })
  // Until the server listens, each connection is refused; the next one follows by itself.
  client.on('error', () => {})
  const exit = once(child, 'exit').then(([code, signal]) => {
    throw new Error(`it ended with ${code ?? signal}`)
  })
  const timeout = delay(startTimeoutMs, undefined, { ref: false }).then(() => {
    throw new Error(`no PONG on port ${port} within ${startTimeoutMs} ms`)
  })
  const pong = client.ping().then(async () => {
    const info = await client.info('server')
    // A stranger that took the port answers too, while our own server is still failing to bind.
    if (!info.includes(`process_id:${child.pid}\r\n`)) return await exit
  })
  try {
    await Promise.race([pong, exit, timeout])
  } finally {
    client.disconnect()
  }
}

/** A throwaway server has nothing to save, and this also ends one that a test has suspended. */
async function stop(child: ChildProcess): Promise<void> {
  const dir = folders.get(child)
  if (dir === undefined) return
  folders.delete(child)
  if (child.exitCode === null && child.signalCode === null) {
    const exit = once(child, 'exit')
    child.kill('SIGKILL')
    await exit
  }
  rmSync(dir, { recursive: true, force: true })
}

const slotCount = 16_384

async function joinNodes(clients: Redis[], ports: number[]): Promise<void> {
  const slotsFrom = (index: number) => Math.floor((index * slotCount) / clients.length)
  for (const [index, client] of clients.entries()) {
    await client.call('CLUSTER', 'SET-CONFIG-EPOCH', index + 1)
    await client.call('CLUSTER', 'ADDSLOTSRANGE', slotsFrom(index), slotsFrom(index + 1) - 1)
  }
  // An epoch can only be given to a node that has met no other.
  for (const [index, client] of clients.entries()) {
    for (const port of ports.slice(index + 1)) await client.call('CLUSTER', 'MEET', host, port)
  }
  await Promise.all(clients.map((client) => waitForCluster(client, clients.length)))
}

async function waitForCluster(client: Redis, primaries: number): Promise<void> {
  const wanted = ['state:ok', `known_nodes:${primaries}`, `size:${primaries}`]
  const deadlineMs = Date.now() + clusterTimeoutMs
  for (;;) {
    const info = String(await client.call('CLUSTER', 'INFO'))
    if (wanted.every((line) => info.includes(`cluster_${line}\r\n`))) return
    if (Date.now() > deadlineMs) throw new Error(`the cluster did not form:\n${info}`)
    await delay(pollMs)
  }
}
