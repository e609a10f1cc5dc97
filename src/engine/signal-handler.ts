// Takes signals over HTTP, fetch style: one POST, one token, one signal; nothing else is reachable.
import { EngineError, type ErrorCode, errorCatalogue, isEngineError } from '../errors.ts'
import { bytesMax } from '../limits.ts'
import { confirmPage, resultPage, styleSource } from './signal-pages.ts'

/** Who sends a signal, as far as the application knows; senders cannot say it themselves. */
export interface SignalSender {
  /** Through whom it comes, as one word; default `webhook`. */
  readonly source?: string
  /** The person or system behind it, so that counts of distinct sources can tell them apart. */
  readonly identity?: string
  readonly category?: string
  readonly correlationId?: string
}

/** A signal as it came in. */
export interface IncomingSignal extends SignalSender {
  readonly token: string
  readonly name?: string
  readonly idempotencyKey?: string
  readonly payload?: Uint8Array
  readonly encoding?: string
}

export interface SignalHandlerOptions {
  /** Delivers a signal, such as the method of a backend; what it throws decides the status. */
  readonly deliver: (
    signal: IncomingSignal,
  ) => Promise<
    | { readonly outcome: 'accepted'; readonly signalId: string; readonly effect: string }
    | { readonly outcome: 'duplicate'; readonly signalId: string }
  >
  /** Says who sends, from a request whose body it does not read. */
  readonly sender?: (request: Request) => SignalSender | Promise<SignalSender>
  /**
   * Whether GET shows a page with a button that signals, with an empty body. GET itself never
   * signals. A function may say what is to be confirmed, by default the `name` in the address; it
   * is asked before anybody has looked at the token. @defaultValue false
   */
  readonly confirmPage?: boolean | ((request: Request) => string | undefined)
  /** Hears of faults that senders are told nothing about. */
  readonly onError?: (error: unknown) => void
}

interface Refusal {
  readonly status: number
  readonly code: string
  readonly message: string
  readonly headers?: Readonly<Record<string, string>>
}

/** What senders may know. Everything else is a fault of ours, and none of their business. */
const statuses: { readonly [Code in ErrorCode]?: number } = {
  invalid_input: 400,
  missing_token: 401,
  invalid_token: 401,
  idempotency_mismatch: 409,
  invalid_waitpoint_for_execution: 409,
  signal_limit_exceeded: 409,
  waitpoint_not_pending: 409,
  execution_not_found: 410,
  pending_waitpoint_expired: 410,
  target_not_signalable: 410,
  token_expired: 410,
  waitpoint_closed: 410,
  waitpoint_not_found: 410,
  payload_too_large: 413,
  signal_rate_limited: 429,
}

const passing = new Set<string>(['Transport', 'Timeout', 'Unavailable', 'ResourceExhausted'])

const retryDefaultMs = 1000

function retryAfter(error: EngineError): string {
  const ms = Number(error.details.retry_after_ms ?? retryDefaultMs)
  return String(Math.max(1, Math.ceil((Number.isFinite(ms) ? ms : retryDefaultMs) / 1000)))
}

function refusalOf(error: unknown): Refusal {
  if (!isEngineError(error)) {
    return { status: 500, code: 'internal', message: 'The signal could not be delivered.' }
  }
  const status = statuses[error.code]
  const later = { 'retry-after': retryAfter(error) }
  if (status === undefined) {
    return passing.has(error.family)
      ? { status: 503, code: 'unavailable', message: 'Try again later.', headers: later }
      : { status: 500, code: 'internal', message: 'The signal could not be delivered.' }
  }
  // The advice is fixed text, while the message may hold what was sent.
  const { advice } = errorCatalogue[error.code]
  const refusal = { status, code: error.code, message: advice }
  if (status === 401) return { ...refusal, headers: { 'www-authenticate': 'Bearer' } }
  return status === 429 ? { ...refusal, headers: later } : refusal
}

// The address holds the token: it must not be kept, framed, or told to the next site.
const guarding = {
  'cache-control': 'no-store',
  'content-security-policy':
    "default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; " +
    `style-src ${styleSource}`,
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
}

function json(status: number, body: unknown, headers: Readonly<Record<string, string>> = {}) {
  const type = { 'content-type': 'application/json' }
  return new Response(JSON.stringify(body), {
    status,
    headers: { ...guarding, ...type, ...headers },
  })
}

function html(status: number, page: string, headers: Readonly<Record<string, string>> = {}) {
  const type = { 'content-type': 'text/html; charset=utf-8' }
  return new Response(page, { status, headers: { ...guarding, ...type, ...headers } })
}

function refuse({ status, code, message, headers }: Refusal, asPage: boolean): Response {
  if (asPage) return html(status, resultPage(message), headers)
  return json(status, { error: { code, message } }, headers)
}

/** The bearer token, or else the last segment of the path. */
function tokenOf(request: Request): string {
  const bearer = /^Bearer +(\S+) *$/i.exec(request.headers.get('authorization') ?? '')?.[1]
  if (bearer !== undefined) return bearer
  const token = new URL(request.url).pathname.split('/').at(-1) ?? ''
  if (token === '') throw new EngineError('missing_token', 'the request names no token')
  return token
}

const tooLarge = (): EngineError =>
  new EngineError('payload_too_large', `the body is larger than ${bytesMax.signalPayload} bytes`)

const wrongBody = (why: string, cause?: unknown): EngineError =>
  new EngineError('invalid_input', `the body ${why}`, { cause, details: { argument: 'payload' } })

/** Reads no more than fits, whatever the request says about its length. */
async function bodyOf(request: Request): Promise<Uint8Array> {
  if (Number(request.headers.get('content-length') ?? 0) > bytesMax.signalPayload) throw tooLarge()
  const reader = request.body?.getReader()
  const chunks: Uint8Array[] = []
  let length = 0
  for (;;) {
    const chunk = await reader?.read().catch((cause: unknown) => {
      throw wrongBody('broke off', cause)
    })
    if (chunk === undefined || chunk.done) return Buffer.concat(chunks)
    length += chunk.value.byteLength
    if (length > bytesMax.signalPayload) {
      reader?.cancel().catch(() => undefined)
      throw tooLarge()
    }
    chunks.push(chunk.value)
  }
}

function isJson(bytes: Uint8Array): boolean {
  try {
    JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes))
    return true
  } catch {
    return false
  }
}

/** What the content type says about the bytes: `json`, `utf8` or `binary`. */
function encodingOf(request: Request, payload: Uint8Array): string {
  if (!/^(?:identity)?$/i.test(request.headers.get('content-encoding') ?? '')) {
    throw wrongBody('is compressed')
  }
  const [type = '', ...parameters] = (request.headers.get('content-type') ?? '').split(';')
  const charset = /charset="?([^"\s]+)/i.exec(parameters.join(';'))?.[1] ?? 'utf-8'
  const name = type.trim().toLowerCase()
  if (name === 'application/json' || name.endsWith('+json')) {
    if (!isJson(payload)) throw wrongBody('is not JSON')
    return 'json'
  }
  const isText = name.startsWith('text/') || name === 'application/x-www-form-urlencoded'
  return isText && /^utf-?8$/i.test(charset) ? 'utf8' : 'binary'
}

async function signalOf(
  request: Request,
  sender: SignalHandlerOptions['sender'],
): Promise<IncomingSignal> {
  const token = tokenOf(request)
  const from = { source: 'webhook', ...(await sender?.(request)) }
  const payload = await bodyOf(request)
  const query = new URL(request.url).searchParams
  const name = query.get('name') ?? request.headers.get('x-signal-name')
  const idempotencyKey = request.headers.get('idempotency-key')
  return {
    ...from,
    token,
    ...(name === null ? {} : { name }),
    ...(idempotencyKey === null ? {} : { idempotencyKey }),
    ...(payload.byteLength === 0 ? {} : { payload, encoding: encodingOf(request, payload) }),
  }
}

function hearOf(error: unknown, status: number, { onError }: SignalHandlerOptions): void {
  if (status < 500) return
  try {
    onError?.(error)
  } catch {
    // Whoever asked gets an answer, also when nobody wants to hear of the fault.
  }
}

function hasPage({ confirmPage: page = false }: SignalHandlerOptions): boolean {
  return page !== false
}

function subjectOf(request: Request, options: SignalHandlerOptions): string | undefined {
  const { confirmPage: page } = options
  const name = new URL(request.url).searchParams.get('name') ?? undefined
  if (typeof page !== 'function') return name
  try {
    return page(request)
  } catch (error) {
    hearOf(error, 500, options)
    return name
  }
}

async function post(request: Request, options: SignalHandlerOptions): Promise<Response> {
  const type = request.headers.get('content-type') ?? ''
  // Only the button of our page sends a form; people should not be shown JSON.
  const asPage = hasPage(options) && type.startsWith('application/x-www-form-urlencoded')
  try {
    const signal = await signalOf(request, options.sender)
    const delivered = await options.deliver(signal)
    const status = delivered.outcome === 'accepted' ? 202 : 200
    if (asPage) return html(status, resultPage('The signal was received.'))
    // Field by field: whatever else the answer may carry is not for senders.
    const { outcome, signalId } = delivered
    const effect = outcome === 'accepted' ? delivered.effect : undefined
    return json(status, { outcome, signalId, effect })
  } catch (error) {
    const refusal = refusalOf(error)
    hearOf(error, refusal.status, options)
    return refuse(refusal, asPage)
  }
}

/**
 * A handler for signals from outside, to be mounted wherever requests are served.
 *
 * The token is the last segment of the path or a bearer token. The body, of at most 64 KiB, is the
 * payload. `?name=` or `X-Signal-Name` names the signal, `Idempotency-Key` makes it safe to send
 * again. Only POST signals, so that previews of links do not. Answers never contain the token.
 *
 * @example
 * ```ts
 * import { signalHandler } from 'holdfast'
 *
 * const handle = signalHandler({
 *   deliver: async ({ name }) => ({ outcome: 'accepted', signalId: 's1', effect: `saw ${name}` }),
 * })
 * const request = new Request('https://example.org/signals/a.token?name=ok', { method: 'POST' })
 * console.log((await handle(request)).status)
 * // 202
 * ```
 */
export function signalHandler(
  options: SignalHandlerOptions,
): (request: Request) => Promise<Response> {
  return async (request) => {
    const { method } = request
    if (method === 'POST') return post(request, options)
    if (hasPage(options) && (method === 'GET' || method === 'HEAD')) {
      const response = html(200, confirmPage(subjectOf(request, options)))
      return method === 'GET' ? response : new Response(null, response)
    }
    const allow = hasPage(options) ? 'GET, HEAD, POST' : 'POST'
    const message = 'Send the signal with POST.'
    return refuse({ status: 405, code: 'method_not_allowed', message, headers: { allow } }, false)
  }
}
