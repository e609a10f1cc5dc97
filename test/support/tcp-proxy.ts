// A TCP proxy between client and server that tests can silence, cut, and point elsewhere.
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

export interface TcpProxy {
  readonly port: number
  /** Where new connections lead from now on; without a port they are closed at once. */
  lead(port: number | undefined): void
  /** Closes every connection. */
  cut(): void
  /** Keeps every open connection open and forwards nothing on it any more. New ones work. */
  silence(): void
  /** Discards the next bytes that the server sends on any connection, and closes that one. */
  loseNextReply(): Promise<void>
  stop(): Promise<void>
}

interface Pair {
  readonly client: Socket
  readonly server: Socket
  silent: boolean
}

export async function startProxy(targetPort: number): Promise<TcpProxy> {
  let target: number | undefined = targetPort
  let lose: (() => void) | undefined
  const pairs = new Set<Pair>()
  const drop = (pair: Pair) => {
    pairs.delete(pair)
    pair.client.destroy()
    pair.server.destroy()
  }
  const listener = createServer((client) => {
    if (target === undefined) return void client.destroy()
    const pair: Pair = { client, server: connect(target, '127.0.0.1'), silent: false }
    pairs.add(pair)
    for (const socket of [client, pair.server]) {
      socket.on('error', () => drop(pair))
      socket.on('close', () => drop(pair))
    }
    client.on('data', (bytes) => pair.silent || pair.server.write(bytes))
    pair.server.on('data', (bytes) => {
      if (pair.silent) return
      if (lose === undefined) return void client.write(bytes)
      lose()
      lose = undefined
      drop(pair)
    })
  })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const address = listener.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return {
    port: address.port,
    lead: (port) => {
      target = port
    },
    cut: () => {
      for (const pair of [...pairs]) drop(pair)
    },
    silence: () => {
      for (const pair of pairs) pair.silent = true
    },
    loseNextReply: () =>
      new Promise((resolve) => {
        lose = resolve
      }),
    stop: async () => {
      for (const pair of [...pairs]) drop(pair)
      listener.close()
      await once(listener, 'close')
    },
  }
}
