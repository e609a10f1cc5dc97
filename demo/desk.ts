// The approval desk: a small HTTP server that the signed links lead to.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { Misuse } from './options.ts'

type Handle = (request: Request) => Promise<Response>

export interface Desk {
  /** What `openEngine` takes as its `signalUrl`. */
  readonly url: string
  /** From now on requests are answered by this; before, they are told to come again. */
  serve(handle: Handle): void
  close(): Promise<void>
}

const host = '127.0.0.1'
const closeMaxMs = 1000

/** Opens the desk for this machine alone, on a free port unless one is asked for. */
export async function openDesk(port = 0): Promise<Desk> {
  let handle: Handle = async () => new Response(null, { status: 503 })
  let url = ''
  const underway = new Set<Promise<void>>()
  const server = createServer((incoming, outgoing) => {
    const answering = answer(handle, url, incoming, outgoing).finally(() => {
      underway.delete(answering)
    })
    underway.add(answering)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      reject(new Misuse(`--port ${port} cannot be used: ${error.message}`))
    })
    server.listen(port, host, resolve)
  })
  url = `http://${host}:${(server.address() as AddressInfo).port}`
  return {
    url,
    serve(by) {
      handle = by
    },
    async close() {
      server.close()
      // Whoever gave the last approval gets an answer; whoever dawdles does not keep us.
      const patience = delay(closeMaxMs, undefined, { ref: false })
      await Promise.race([Promise.allSettled(underway), patience])
      server.closeAllConnections()
    },
  }
}

/** Lets a handler of fetch-style requests answer one of Node's. */
async function answer(
  handle: Handle,
  url: string,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  try {
    const { method = 'GET', headers } = incoming
    const hasBody = method !== 'GET' && method !== 'HEAD'
    const request = new Request(`${url}${incoming.url}`, {
      method,
      headers: headers as Record<string, string>,
      ...(hasBody ? { body: Readable.toWeb(incoming), duplex: 'half' } : {}),
    } as RequestInit)
    const response = await handle(request)
    outgoing.writeHead(response.status, Object.fromEntries(response.headers))
    const body = Buffer.from(await response.arrayBuffer())
    await new Promise<void>((resolve) => {
      outgoing.once('close', resolve)
      outgoing.end(body)
    })
  } catch {
    // A request that is none in the eyes of fetch.
    if (!outgoing.headersSent) outgoing.writeHead(400)
    outgoing.end()
  }
}
