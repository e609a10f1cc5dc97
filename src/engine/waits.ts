// Waiting inside a task: what came before is remembered, what has not come suspends the execution.
import type { StandardSchemaV1 } from '@standard-schema/spec'
import { EngineError } from '../errors.ts'
import type {
  ClaimedExecution,
  EngineBackend,
  ResumeCondition,
  Signal,
  SignalMatcher,
  SignalSource,
  WaitpointSpec,
  WaitpointSummary,
} from '../persistence/backend.ts'
import { type Duration, parseDurationMs } from '../time.ts'
import type { Codec } from './json-codec.ts'
import { decodePayload } from './payload.ts'
import { checkValue } from './schema.ts'

/** A signal as a task gets it. */
export interface Received<Payload = unknown> {
  readonly payload: Payload
  /** What the sender called the signal; the waitpoint's name when it said nothing. */
  readonly name: string
  readonly source: SignalSource
  /** Who sent it, as the sender said. */
  readonly identity: string
  readonly correlationId: string
  readonly signalId: string
  readonly receivedAt: Date
}

export interface WaitOptions<Schema extends StandardSchemaV1 = StandardSchemaV1> {
  /** What the payload must be. */
  readonly schema?: Schema
  /** Then the wait rejects with `wait_timed_out`. @defaultValue waits for ever */
  readonly timeout?: Duration
  /** Only signals that came through it count. @defaultValue any */
  readonly from?: SignalSource
  /** Only signals of these names count. @defaultValue any */
  readonly names?: readonly string[]
  /** Why it waits, for those who look. @defaultValue 'waiting_for_signal' */
  readonly reason?: string
}

export interface WaitpointOptions {
  /** Signals that come later than this are refused. @defaultValue it ends with the execution */
  readonly expires?: Duration
}

/** A waitpoint to hand to an outsider. */
export interface WaitpointLink {
  /** Whoever has it may signal this waitpoint, and nothing else. */
  readonly token: string
  /** The address that takes the signal, when the engine was opened with a `signalUrl`. */
  readonly url: string | undefined
}

type WaitsBackend = Pick<
  EngineBackend,
  'suspend' | 'createWaitpoint' | 'listWaitpoints' | 'waitpointToken'
>

export interface WaitsParts {
  readonly backend: WaitsBackend
  readonly codec: Codec
  readonly claimed: ClaimedExecution
  readonly urlOf: (token: string) => string | undefined
  /** Called once the execution is suspended: the attempt is over for this worker. */
  readonly parked: () => void
}

/** What is known of a waitpoint of this run, by its key. */
type Known = Pick<WaitpointSummary, 'waitpointId' | 'state' | 'closeReason' | 'signals'> & {
  readonly token?: string
}

/**
 * The waits of one attempt. A task runs again from its start after each suspension: the first wait
 * for a name gets what the first wait got before, the second what the second got, and so on.
 */
export class Waits {
  private readonly parts: WaitsParts
  private known: Promise<Map<string, Known>> | undefined
  private readonly waited = new Map<string, number>()
  /** Waits follow each other: an execution is suspended once at a time. */
  private last: Promise<unknown> = Promise.resolve()

  constructor(parts: WaitsParts) {
    this.parts = parts
  }

  waitFor<Schema extends StandardSchemaV1>(
    name: string,
    options: WaitOptions<Schema>,
  ): Promise<Received> {
    const key = this.keyOf(name)
    this.waited.set(name, (this.waited.get(name) ?? 0) + 1)
    const waiting = this.last.then(() => this.wait(key, name, options))
    this.last = waiting.catch(() => undefined)
    return waiting
  }

  async waitpoint(name: string, { expires }: WaitpointOptions): Promise<WaitpointLink> {
    const key = this.keyOf(name)
    const known = await this.recall()
    const found = known.get(key)
    const { backend, claimed } = this.parts
    if (found !== undefined && found.state !== 'expired') {
      const id = found.waitpointId
      return this.link(found.token ?? (await backend.waitpointToken(claimed.executionId, id)))
    }
    const expiresInMs = expires === undefined ? undefined : parseDurationMs(expires, 'expires')
    const issued = await backend.createWaitpoint(claimed.handle, key, expiresInMs, { scope: 'run' })
    const { waitpointId, token } = issued
    known.set(key, { waitpointId, token, state: 'pending', closeReason: undefined, signals: [] })
    return this.link(token)
  }

  private link(token: string): WaitpointLink {
    return { token, url: this.parts.urlOf(token) }
  }

  /** The key of the waitpoint that the next wait for this name is about. */
  private keyOf(name: string): string {
    const before = this.waited.get(name) ?? 0
    return before === 0 ? name : `${name}#${before}`
  }

  private async wait(key: string, name: string, options: WaitOptions): Promise<Received> {
    const found = (await this.recall()).get(key)
    if (found?.state === 'closed') {
      const answered = await this.answer(found, name, options)
      if (answered !== undefined) return answered
    }
    const { backend, claimed, parked } = this.parts
    const outcome = await backend.suspend(claimed.handle, [await this.bind(key, found)], {
      condition: conditionFor(found?.state === 'pending' ? pendingKey : key, options),
      timeoutMs: timeoutOf(options),
      onTimeout: 'auto_resume_with_signal',
      reason: options.reason,
    })
    if (outcome.outcome === 'suspended') {
      parked()
      // Nothing after this line runs in this attempt; the next claim runs the task again.
      return new Promise<never>(() => undefined)
    }
    return this.received(outcome.signals.at(-1) as Signal, name, options)
  }

  private async bind(key: string, found: Known | undefined): Promise<WaitpointSpec> {
    if (found?.state !== 'pending') return { key }
    const { backend, claimed } = this.parts
    const { token } = found
    const id = found.waitpointId
    return {
      token: token ?? (await backend.waitpointToken(claimed.executionId, id)),
      key: pendingKey,
    }
  }

  /** What a wait that is over came to; undefined when nobody waited there. */
  private async answer(
    { closeReason, signals }: Known,
    name: string,
    options: WaitOptions,
  ): Promise<Received | undefined> {
    if (closeReason === 'timed_out_auto_resume') {
      throw new EngineError('wait_timed_out', `nothing came for ${name} in time`, {
        details: { name },
      })
    }
    if (closeReason === 'operator_resume') {
      throw new EngineError('wait_overridden', `an operator ended the wait for ${name}`, {
        details: { name },
      })
    }
    const signal = signals.at(-1)
    return signal === undefined ? undefined : this.received(signal, name, options)
  }

  private async received(signal: Signal, name: string, options: WaitOptions): Promise<Received> {
    const decoded = decodePayload(this.parts.codec, signal.encoding, signal.payload)
    return {
      payload: await checkPayload(name, options.schema, decoded),
      name: signal.name,
      source: signal.source,
      identity: signal.identity,
      correlationId: signal.correlationId,
      signalId: signal.signalId,
      receivedAt: new Date(signal.acceptedAtMs),
    }
  }

  /** What earlier attempts and suspensions of this run left; a fresh execution has nothing. */
  private recall(): Promise<Map<string, Known>> {
    this.known ??= this.load()
    return this.known
  }

  private async load(): Promise<Map<string, Known>> {
    const { backend, claimed } = this.parts
    const known = new Map<string, WaitpointSummary>()
    if (claimed.handle.kind === 'fresh' && claimed.attempt === 0) return known
    let cursor: string | undefined
    do {
      const page = await backend.listWaitpoints(claimed.executionId, {
        cursor,
        limit: 1000,
        withSignals: true,
      })
      for (const point of page.items.filter(({ isCurrent }) => isCurrent)) {
        const other = known.get(point.key)
        if (other === undefined || isNewer(point, other)) known.set(point.key, point)
      }
      cursor = page.nextCursor
    } while (cursor !== undefined)
    return known
  }
}

/** Only one of several waitpoints of a key is in use; an answered one is never replaced. */
function isNewer(point: WaitpointSummary, other: WaitpointSummary): boolean {
  if (point.state === 'expired') return false
  return other.state === 'expired' || point.createdAtMs > other.createdAtMs
}

/** What the condition calls a waitpoint that was issued before. */
const pendingKey = 'issued'

function timeoutOf({ timeout }: WaitOptions): number | undefined {
  return timeout === undefined ? undefined : parseDurationMs(timeout, 'timeout')
}

function conditionFor(waitpoint: string, { from, names }: WaitOptions): ResumeCondition {
  const match: SignalMatcher = { source: from, names }
  return { kind: 'single', waitpoint, match }
}

async function checkPayload(
  name: string,
  schema: StandardSchemaV1 | undefined,
  payload: unknown,
): Promise<unknown> {
  if (schema === undefined) return payload
  return checkValue(`the signal for ${name}`, schema, payload, { argument: 'payload', name })
}
