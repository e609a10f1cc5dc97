// Waiting inside a task: what came before is remembered, what has not come suspends the execution.
import type { StandardSchemaV1 } from '@standard-schema/spec'
import { EngineError, isEngineError } from '../errors.ts'
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
import { memoised } from './memo.ts'
import { decodePayload } from './payload.ts'
import { checkValue } from './schema.ts'
import type { WaitLine } from './wait-line.ts'
import { checkWaitName, waitKey, waitName } from './wait-name.ts'

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
  /**
   * How long it keeps signals for a wait that has not begun; from then on the wait's own timeout
   * counts. At least a second. @defaultValue until the execution ends
   */
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
  /** Waits follow each other, whatever they are for. */
  readonly line: WaitLine
  /** Resolves when nothing that the task began is on its way: parking would have it refused. */
  readonly settled: () => Promise<void>
  /** Called once the execution is suspended: the attempt is over for this worker. */
  readonly parked: () => void
}

/** What is known of a waitpoint of this run, by its key. */
type Known = Pick<WaitpointSummary, 'waitpointId' | 'state' | 'closeReason' | 'signals'> & {
  readonly token?: string
}

/** What one attempt knows of the waits for one name. */
interface Place {
  /** How many waitpoints its waits have used. */
  used: number
  /** Signals that came early beyond the first, for the waits that follow. */
  readonly spare: Signal[]
}

/**
 * The waits of one attempt. A task runs again from its start after each suspension: the first wait
 * for a name gets what the first wait got before, the second what the second got, and so on.
 */
export class Waits {
  private readonly parts: WaitsParts
  /** What earlier attempts and suspensions of this run left; a fresh execution has nothing. */
  private readonly recall = memoised(() => this.load())
  private readonly places = new Map<string, Place>()

  constructor(parts: WaitsParts) {
    this.parts = parts
  }

  async waitFor<Schema extends StandardSchemaV1>(
    name: string,
    options: WaitOptions<Schema>,
  ): Promise<Received> {
    checkWaitName(name)
    return this.parts.line.join(() => this.wait(name, options))
  }

  async waitpoint(name: string, { expires }: WaitpointOptions): Promise<WaitpointLink> {
    checkWaitName(name)
    const key = waitKey(name, this.place(name).used)
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

  private place(name: string): Place {
    const place = this.places.get(name) ?? { used: 0, spare: [] }
    this.places.set(name, place)
    return place
  }

  private async wait(name: string, options: WaitOptions): Promise<Received> {
    const place = this.place(name)
    const spare = place.spare.findIndex((signal) => isWanted(signal, options))
    if (spare >= 0) {
      return this.received(place.spare.splice(spare, 1)[0] as Signal, name, options)
    }
    const key = waitKey(name, place.used)
    const found = (await this.recall()).get(key)
    place.used += 1
    const before = found?.state === 'closed' ? answersOf(found, name) : []
    const signals = before.length > 0 ? before : await this.waitAt(place, key, found, options)
    place.spare.push(...signals.slice(1))
    return this.received(signals[0] as Signal, name, options)
  }

  /** A wait that could not begin leaves its waitpoint to the next one for the name. */
  private async waitAt(place: Place, key: string, found: Known | undefined, options: WaitOptions) {
    try {
      await this.parts.settled()
      return await this.suspend(key, found, options)
    } catch (error) {
      place.used -= 1
      throw error
    }
  }

  /** Suspends, unless what was sent early is enough: then the signals, in their order. */
  private async suspend(
    key: string,
    found: Known | undefined,
    options: WaitOptions,
  ): Promise<readonly Signal[]> {
    const { backend, claimed, parked } = this.parts
    const spec = await this.bind(key, found)
    const outcome = await backend
      .suspend(claimed.handle, [spec], {
        condition: conditionFor(spec.key ?? key, options),
        timeoutMs: timeoutOf(options),
        onTimeout: 'auto_resume_with_signal',
        reason: options.reason,
      })
      .catch((error: unknown) => {
        // Its link is dead, the wait is not.
        if (isEngineError(error, 'pending_waitpoint_expired')) return undefined
        throw error
      })
    if (outcome === undefined) return this.suspend(key, undefined, options)
    if (outcome.outcome === 'already_satisfied') return outcome.signals
    parked()
    // Nothing after this line runs in this attempt; the next claim runs the task again.
    return new Promise<never>(() => undefined)
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

  private async received(signal: Signal, name: string, options: WaitOptions): Promise<Received> {
    const decoded = decodePayload(this.parts.codec, signal.encoding, signal.payload)
    return {
      payload: await checkPayload(name, options.schema, decoded),
      // The engine numbers the waitpoints of a name; senders and tasks know the name alone.
      name: waitName(signal.name) === name ? name : signal.name,
      source: signal.source,
      identity: signal.identity,
      correlationId: signal.correlationId,
      signalId: signal.signalId,
      receivedAt: new Date(signal.acceptedAtMs),
    }
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

/**
 * One signal is enough. It is counted, because of several that came early each is then kept for a
 * wait of its own.
 */
function conditionFor(waitpoint: string, { from, names }: WaitOptions): ResumeCondition {
  const match: SignalMatcher = { source: from, names }
  return { kind: 'count', count: 1, of: 'signals', waitpoints: [waitpoint], match }
}

/** Whether a wait takes a signal that an earlier wait of its name left. */
function isWanted(signal: Signal, { from, names }: WaitOptions): boolean {
  return (
    (from === undefined || signal.source === from) &&
    (names === undefined || names.includes(signal.name))
  )
}

/** What came to a wait that is over, or what it is to throw; nothing when nobody waited there. */
function answersOf({ closeReason, signals }: Known, name: string): readonly Signal[] {
  const details = { name }
  if (closeReason === 'timed_out_auto_resume') {
    throw new EngineError('wait_timed_out', `nothing came for ${name} in time`, { details })
  }
  if (closeReason === 'operator_resume') {
    throw new EngineError('wait_overridden', `an operator ended the wait for ${name}`, { details })
  }
  return signals
}

async function checkPayload(
  name: string,
  schema: StandardSchemaV1 | undefined,
  payload: unknown,
): Promise<unknown> {
  if (schema === undefined) return payload
  try {
    return await checkValue('the payload', schema, payload, { argument: 'payload', name })
  } catch (cause) {
    const details = isEngineError(cause) ? cause.details : { name }
    const issues = Array.isArray(details.issues) ? `: ${details.issues.join('; ')}` : ''
    const what = `the signal for ${name} does not fit${issues}`
    throw new EngineError('signal_misfit', what, { cause, details })
  }
}
