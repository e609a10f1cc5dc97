// Signals over HTTP: what reaches the engine, and what senders are told.
import { createServer, request as httpRequest, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { afterEach, describe, expect, it } from 'vitest'
import {
  type IncomingSignal,
  type SignalHandlerOptions,
  signalHandler,
} from '../../src/engine/signal-handler.ts'
import { EngineError, type ErrorCode, errorCatalogue } from '../../src/errors.ts'

const token = `k1.0-${'a'.repeat(26)}.0.${'w'.repeat(22)}.${'m'.repeat(43)}`
const address = `https://example.org/signals/${token}`
const limit = 65_536
const jsonType = { 'content-type': 'application/json' }

interface Heard {
  readonly handle: (request: Request) => Promise<Response>
  readonly signals: IncomingSignal[]
}

function listen(options: Partial<SignalHandlerOptions> = {}): Heard {
  const signals: IncomingSignal[] = []
  const handle = signalHandler({
    deliver: async (signal) => {
      signals.push(signal)
      return { outcome: 'accepted', signalId: 's1', effect: 'new' }
    },
    ...options,
  })
  return { handle, signals }
}

function post(init: RequestInit & { readonly duplex?: 'half' } = {}, url = address): Request {
  return new Request(url, { method: 'POST', ...init })
}

/** A body without end that counts what was taken from it. */
function endless() {
  const seen = { bytes: 0, cancelled: false }
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      seen.bytes += 1024
      controller.enqueue(new Uint8Array(1024))
    },
    cancel() {
      seen.cancelled = true
    },
  })
  return { seen, body }
}

const refusing = (error: unknown) =>
  listen({
    deliver: async () => {
      throw error
    },
  }).handle

describe('A POST', () => {
  it('delivers one signal and says what came of it', async () => {
    const { handle, signals } = listen()
    const response = await handle(post({ body: '{"ok":true}', headers: jsonType }))
    expect(response.status).toBe(202)
    expect(await response.json()).toEqual({ outcome: 'accepted', signalId: 's1', effect: 'new' })
    const payload = Buffer.from('{"ok":true}')
    expect(signals).toEqual([{ token, source: 'webhook', payload, encoding: 'json' }])
  })

  it('that came before says so, and nothing else of what the engine knows', async () => {
    const duplicate = { outcome: 'duplicate', signalId: 's1', executionId: 'secret' } as const
    const response = await listen({ deliver: async () => duplicate }).handle(post())
    expect(response.status).toBe(200)
    expect(await response.json()).toEqual({ outcome: 'duplicate', signalId: 's1' })
  })

  it('says its name and key, if it has them', async () => {
    const { handle, signals } = listen()
    await handle(post())
    await handle(post({}, `${address}?name=approved`))
    await handle(post({ headers: { 'X-Signal-Name': 'rejected', 'Idempotency-Key': 'k 1' } }))
    await handle(post({ headers: { 'X-Signal-Name': 'rejected' } }, `${address}?name=approved`))
    expect(signals).toEqual([
      { token, source: 'webhook' },
      { token, source: 'webhook', name: 'approved' },
      { token, source: 'webhook', name: 'rejected', idempotencyKey: 'k 1' },
      { token, source: 'webhook', name: 'approved' },
    ])
  })

  it('cannot say who sends it: the application does', async () => {
    const { handle, signals } = listen({
      sender: async (request) => ({
        ...{ source: 'user', category: 'approval', correlationId: 'c' },
        identity: request.headers.get('x-user') ?? '',
      }),
    })
    await handle(post({ headers: { 'x-user': 'alice' } }, `${address}?source=x&identity=bob`))
    const sender = { source: 'user', category: 'approval', correlationId: 'c', identity: 'alice' }
    expect(signals).toEqual([{ token, ...sender }])
  })

  const bearer = { authorization: `Bearer ${token}` }
  it.each([
    ['the last segment of the path', address, {}],
    ['a bearer token', 'https://example.org/signals', bearer],
    ['a bearer token at the root', 'https://example.org/', bearer],
    ['a bearer token before the path', 'https://example.org/signals/other', bearer],
    ['the path beside other credentials', address, { authorization: 'Basic abc' }],
  ])('names its token as %s', async (_, url, headers) => {
    const { handle, signals } = listen()
    expect((await handle(post({ headers }, url))).status).toBe(202)
    expect(signals).toMatchObject([{ token }])
  })

  it('without a token is refused before its body is read', async () => {
    const { handle, signals } = listen()
    const { body, seen } = endless()
    const response = await handle(post({ body, duplex: 'half' }, 'https://example.org/'))
    expect(response.status).toBe(401)
    expect(response.headers.get('www-authenticate')).toBe('Bearer')
    expect(signals).toEqual([])
    expect(seen.bytes).toBeLessThan(4096)
  })

  it.each([
    ['application/json', 'json'],
    ['application/json; charset=utf-8', 'json'],
    ['application/cloudevents+json', 'json'],
    ['text/plain', 'utf8'],
    ['text/plain; charset="UTF-8"', 'utf8'],
    ['text/plain; charset=latin1', 'binary'],
    ['application/x-www-form-urlencoded', 'utf8'],
    ['application/octet-stream', 'binary'],
    ['', 'binary'],
  ])('of type "%s" brings %s', async (type, encoding) => {
    const { handle, signals } = listen()
    await handle(post({ body: Buffer.from('{"ü":1}'), headers: { 'content-type': type } }))
    expect(signals).toMatchObject([{ encoding, payload: Buffer.from('{"ü":1}') }])
  })

  it.each([
    ['{', jsonType],
    ['\ufeff{}', jsonType],
    [Buffer.from([0x22, 0xff, 0x22]), jsonType],
    ['x', { 'content-encoding': 'gzip' }],
  ])('is refused when its body is not what it says (%#)', async (body, headers) => {
    const { handle, signals } = listen()
    const response = await handle(post({ body, headers }))
    expect(response.status).toBe(400)
    expect(signals).toEqual([])
  })

  it('is forgotten when its sender breaks off', async () => {
    const { handle, signals } = listen()
    const body = new ReadableStream({ start: (c) => c.error(new Error('gone')) })
    expect((await handle(post({ body, duplex: 'half' }))).status).toBe(400)
    expect(signals).toEqual([])
  })

  it('brings any bytes as they are, up to the last that fits', async () => {
    const { handle, signals } = listen()
    const bytes = Buffer.from(Array.from({ length: limit }, (_, position) => position & 255))
    expect((await handle(post({ body: bytes }))).status).toBe(202)
    expect(Buffer.from(signals[0]?.payload ?? []).equals(bytes)).toBe(true)
  })
})

describe('A body that is too large', () => {
  it('is refused by one byte', async () => {
    const { handle, signals } = listen()
    expect((await handle(post({ body: Buffer.alloc(limit + 1) }))).status).toBe(413)
    expect(signals).toEqual([])
  })

  it('is refused by its length alone', async () => {
    const { body, seen } = endless()
    const headers = { 'content-length': String(limit + 1) }
    const response = await listen().handle(post({ body, headers, duplex: 'half' }))
    expect(response.status).toBe(413)
    expect(seen.bytes).toBeLessThan(4096)
  })

  it.each([{}, { 'content-length': '5' }])(
    'is left at the limit, whatever it says: %j',
    async (h) => {
      const { body, seen } = endless()
      const response = await listen().handle(post({ body, headers: h, duplex: 'half' }))
      expect(response.status).toBe(413)
      expect(await response.json()).toMatchObject({ error: { code: 'payload_too_large' } })
      expect(seen.bytes).toBeLessThan(limit + 4096)
      expect(seen.cancelled).toBe(true)
    },
  )
})

describe('A refusal', () => {
  const told: [ErrorCode, number][] = [
    ['invalid_input', 400],
    ['missing_token', 401],
    ['invalid_token', 401],
    ['idempotency_mismatch', 409],
    ['invalid_waitpoint_for_execution', 409],
    ['signal_limit_exceeded', 409],
    ['waitpoint_not_pending', 409],
    ['execution_not_found', 410],
    ['pending_waitpoint_expired', 410],
    ['target_not_signalable', 410],
    ['token_expired', 410],
    ['waitpoint_closed', 410],
    ['waitpoint_not_found', 410],
    ['payload_too_large', 413],
    ['signal_rate_limited', 429],
  ]
  it.each(told)('%s is answered with %i and its advice', async (code, status) => {
    const details = { token, retry_after_ms: '1500' }
    const response = await refusing(new EngineError(code, `about ${token}`, { details }))(post())
    expect(response.status).toBe(status)
    const text = await response.text()
    expect(JSON.parse(text)).toEqual({ error: { code, message: errorCatalogue[code].advice } })
    expect(response.headers.get('retry-after')).toBe(status === 429 ? '2' : null)
  })

  const passing = new Set(['Transport', 'Timeout', 'Unavailable', 'ResourceExhausted'])
  const codes = Object.keys(errorCatalogue) as ErrorCode[]
  const ours = codes.filter((code) => !told.some(([known]) => known === code))
  it.each(ours)('%s is ours: senders learn whether to try again, no more', async (code) => {
    const errors: unknown[] = []
    const error = new EngineError(code, `about ${token}`, { details: { token } })
    const { handle } = listen({
      deliver: async () => {
        throw error
      },
      onError: (heard) => errors.push(heard),
    })
    const response = await handle(post())
    const isPassing = passing.has(errorCatalogue[code].family)
    expect(response.status).toBe(isPassing ? 503 : 500)
    expect(response.headers.get('retry-after')).toBe(isPassing ? '1' : null)
    const said = { code: isPassing ? 'unavailable' : 'internal', message: expect.any(String) }
    expect(await response.json()).toEqual({ error: said })
    expect(errors).toEqual([error])
  })

  it('of any other kind is ours too, also when nobody can hear of it', async () => {
    const { handle } = listen({
      sender: () => {
        throw new TypeError(`cannot read ${token}`)
      },
      onError: () => {
        throw new Error('deaf')
      },
    })
    const response = await handle(post())
    expect(response.status).toBe(500)
    expect(await response.text()).not.toContain(token)
  })

  it.each([Number.NaN, -5, 'soon', 0])('asks to wait at least a second, not %s ms', async (ms) => {
    const error = new EngineError('signal_rate_limited', 'x', { details: { retry_after_ms: ms } })
    expect((await refusing(error)(post())).headers.get('retry-after')).toBe('1')
  })
})

describe('Every answer', () => {
  it('is kept nowhere, framed nowhere, and never holds the token', async () => {
    const page = listen({ confirmPage: true }).handle
    const answers = await Promise.all([
      listen().handle(post()),
      listen().handle(new Request(address)),
      page(new Request(`${address}?name=go`)),
      page(post({ body: '', headers: { 'content-type': 'application/x-www-form-urlencoded' } })),
      refusing(new EngineError('invalid_token', token))(post()),
      refusing(new Error(token))(post()),
    ])
    for (const answer of answers) {
      expect(answer.headers.get('cache-control')).toBe('no-store')
      expect(answer.headers.get('referrer-policy')).toBe('no-referrer')
      expect(answer.headers.get('x-content-type-options')).toBe('nosniff')
      expect(answer.headers.get('content-security-policy')).toContain("frame-ancestors 'none'")
      const whole = JSON.stringify([...answer.headers]) + (await answer.text())
      expect(whole).not.toContain(token)
      expect(whole).not.toContain('m'.repeat(43))
    }
  })
})

describe('Other methods', () => {
  it.each(['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])(
    'never signal: %s',
    async (method) => {
      for (const confirmPage of [false, true]) {
        const { handle, signals } = listen({ confirmPage })
        const response = await handle(new Request(`${address}?name=go`, { method }))
        const hasPage = confirmPage && (method === 'GET' || method === 'HEAD')
        expect(response.status).toBe(hasPage ? 200 : 405)
        const allow = confirmPage ? 'GET, HEAD, POST' : 'POST'
        expect(response.headers.get('allow')).toBe(hasPage ? null : allow)
        expect(signals).toEqual([])
      }
    },
  )

  it('GET may show a button that signals, and nothing that a link could put there', async () => {
    const { handle } = listen({ confirmPage: true })
    const name = encodeURIComponent(`<script>"'&`)
    const response = await handle(new Request(`${address}?name=${name}`))
    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8')
    const text = await response.text()
    expect(text).toContain('<form method="post">')
    expect(text).toContain('&#60;script&#62;&#34;&#39;&#38;')
    expect(text).not.toContain('<script')
    const head = await handle(new Request(address, { method: 'HEAD' }))
    expect(head.headers.get('content-type')).toBe('text/html; charset=utf-8')
    expect(await head.text()).toBe('')
  })

  it('the button is answered with a page, also when it is refused', async () => {
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    const { handle, signals } = listen({ confirmPage: true })
    const response = await handle(post({ headers }, `${address}?name=go`))
    expect(response.status).toBe(202)
    expect(await response.text()).toContain('<p>The signal was received.</p>')
    expect(signals).toEqual([{ token, source: 'webhook', name: 'go' }])
    const deliver = async () => {
      throw new EngineError('waitpoint_closed', 'x')
    }
    const refused = await listen({ confirmPage: true, deliver }).handle(post({ headers }))
    expect(refused.status).toBe(410)
    expect(await refused.text()).toContain('Too late')
  })
})

describe('Behind a real server', () => {
  let server: Server | undefined

  afterEach(() => {
    server?.closeAllConnections()
    server?.close()
  })

  async function serve(handle: Heard['handle']): Promise<string> {
    server = createServer(async (incoming, outgoing) => {
      const response = await handle(requestOf(incoming))
      outgoing.writeHead(response.status, Object.fromEntries(response.headers))
      outgoing.end(Buffer.from(await response.arrayBuffer()))
    })
    await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve))
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/signals/${token}`
  }

  function requestOf(incoming: IncomingMessage): Request {
    const headers = Object.entries(incoming.headers).map(([name, value]) => [name, String(value)])
    const hasBody = incoming.method !== 'GET' && incoming.method !== 'HEAD'
    return new Request(`http://localhost${incoming.url}`, {
      method: incoming.method ?? 'GET',
      headers: Object.fromEntries(headers),
      ...(hasBody ? { body: Readable.toWeb(incoming) as ReadableStream, duplex: 'half' } : {}),
    } as RequestInit)
  }

  it('signals arrive with their bytes, and links do not signal', async () => {
    const { handle, signals } = listen()
    const url = await serve(handle)
    const body = Buffer.from([0, 255, 1, 254])
    const sent = await fetch(`${url}?name=go`, { method: 'POST', body })
    expect([sent.status, await sent.json()]).toEqual([
      202,
      { outcome: 'accepted', signalId: 's1', effect: 'new' },
    ])
    expect((await fetch(url)).status).toBe(405)
    expect((await fetch(url, { method: 'HEAD' })).status).toBe(405)
    expect(signals).toMatchObject([{ token, name: 'go', payload: body, encoding: 'binary' }])
  })

  it('a body of unknown length is cut off at the limit', async () => {
    const { handle, signals } = listen()
    const url = await serve(handle)
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const outgoing = httpRequest(url, { method: 'POST' }, ({ statusCode }) => {
        resolve(statusCode)
        outgoing.destroy()
      })
      outgoing.once('error', reject)
      const write = () => {
        if (outgoing.write(Buffer.alloc(8192))) setImmediate(write)
        else outgoing.once('drain', write)
      }
      write()
    })
    expect(status).toBe(413)
    expect(signals).toEqual([])
  })
})
