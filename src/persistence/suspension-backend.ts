// Suspending, waitpoints and signals over any store.
import { EngineError, isEngineError } from '../errors.ts'
import { type ExecutionId, formatExecutionId, mintId, parseExecutionId } from '../ids.ts'
import { bounds } from '../limits.ts'
import type { LeafName } from '../machines/generated/lifecycle.ts'
import { anyCount, checkWhole } from './arguments.ts'
import type { Handle, RecordPage } from './backend.ts'
import type {
  CreateWaitpointOptions,
  DeliverOutcome,
  PendingWaitpoint,
  Signal,
  SignalDelivery,
  SignalEffect,
  SignalPolicy,
  SuspendOptions,
  SuspendOutcome,
  SuspensionIngress,
  SuspensionOperations,
  WaitpointSpec,
  WaitpointSummary,
} from './backend-suspension.ts'
import { readRows } from './corruption.ts'
import type { SignalRow } from './generated/operations.ts'
import { parseHandle, parseHolder, suspendedHandle } from './handle.ts'
import { currentKey, isKeyAlive, type SigningKey, secretBytes } from './keyring.ts'
import { Keyrings } from './keyrings.ts'
import { OperationCaller } from './operation-caller.ts'
import { checkTarget, signalArguments } from './signal-delivery.ts'
import { finalEffect, readSignal, readStoredWaitpoint, unreadWaitpoints } from './signal-reading.ts'
import type { Store } from './store.ts'
import {
  issuedBy,
  type SuspendRequest,
  suspendArguments,
  suspendRequest,
} from './suspend-request.ts'
import { mintToken, readToken, type TokenParts, tokenFingerprint, verifyToken } from './token.ts'
import type { Waitpoint } from './waitpoint-record.ts'

/** How often a call that signs is repeated when its key is replaced under it. */
const signingTriesMax = 3

const defaultGraceMs = 86_400_000

export class SuspensionBackend
  extends OperationCaller
  implements Omit<SuspensionOperations & SuspensionIngress, 'listSuspended'>
{
  private readonly keyrings: Keyrings

  constructor(store: Store) {
    super(store)
    this.keyrings = new Keyrings(store)
  }

  async suspend(
    handle: Handle,
    waitpoints: readonly WaitpointSpec[],
    options: SuspendOptions = {},
  ): Promise<SuspendOutcome> {
    if (handle?.kind === 'suspended') {
      throw new EngineError('already_suspended', 'the handle is that of a suspended execution')
    }
    const { partition, ...fence } = parseHandle(this.store.kind, handle)
    const verified = await this.verifyAll(waitpoints, formatExecutionId(partition, fence.id))
    const request = suspendRequest(handle, waitpoints, options, verified)
    return this.signing(partition, async (key) => {
      const args = suspendArguments(fence, request, options, key)
      const answer = await this.call(partition, 'execution.suspend', args)
      const { suspensionId } = request
      if (answer.outcome === 'satisfied') {
        const signals = await this.read(partition, fence.id, answer.signals)
        const { replayed } = answer
        return { outcome: 'already_satisfied', suspensionId, signals, replayed } as const
      }
      const executionId = formatExecutionId(partition, fence.id)
      return {
        outcome: 'suspended',
        handle: suspendedHandle(this.store.kind, executionId, fence.attempt, suspensionId),
        suspensionId,
        waitpoints: await this.issued(partition, fence, request, key, answer.replayed),
        timeoutAtMs: answer.timeout_at,
        replayed: answer.replayed,
      } as const
    })
  }

  async createWaitpoint(
    handle: Handle,
    key: string,
    expiresInMs?: number,
    options: CreateWaitpointOptions = {},
  ): Promise<PendingWaitpoint> {
    const { partition, ...fence } = parseHandle(this.store.kind, handle)
    const { scope = 'attempt', waitpointId = mintId() } = options
    return this.signing(partition, async (signingKey) => {
      const answer = await this.call(partition, 'waitpoint.create', {
        ...fence,
        waitpoint: waitpointId,
        key,
        kid: signingKey.kid,
        scope,
        expires_ms: expiresInMs,
      })
      const executionId = formatExecutionId(partition, fence.id)
      const token = answer.replayed
        ? await this.waitpointToken(executionId, waitpointId)
        : mintToken(signingKey, { executionId, attempt: fence.attempt, waitpointId })
      const { expires_at: expiresAtMs, replayed } = answer
      return { waitpointId, key, token, expiresAtMs, replayed }
    })
  }

  async closeWaitpoint(handle: Handle, waitpointId: string, reason = 'proactive_close') {
    const { partition, ...fence } = parseHandle(this.store.kind, handle)
    const args = { ...fence, waitpoint: waitpointId, why: reason }
    return this.call(partition, 'waitpoint.close', args)
  }

  async observeSignals(handle: Handle): Promise<readonly Signal[]> {
    const { partition, id, attempt } = parseHolder(this.store.kind, handle)
    const { signals } = await this.call(partition, 'signal.observe', { id, attempt })
    return this.read(partition, id, signals)
  }

  async deliverSignal(delivery: SignalDelivery): Promise<DeliverOutcome> {
    const parts = await this.verify(delivery.token)
    checkTarget(delivery, parts)
    const { partition, local } = parseExecutionId(parts.executionId)
    const args = signalArguments(delivery, parts, local)
    const answer = await this.call(partition, 'signal.deliver', args)
    const effect = answer.effect as SignalEffect
    if (answer.outcome === 'accepted') return { outcome: 'accepted', signalId: args.signal, effect }
    // Our own id can only be known already because an answer was lost on the way.
    const isOwn = delivery.signalId === undefined && answer.signal === args.signal
    return { outcome: isOwn ? 'accepted' : 'duplicate', signalId: answer.signal, effect }
  }

  async listWaitpoints(
    id: ExecutionId,
    options: {
      cursor?: string | undefined
      limit?: number | undefined
      withSignals?: boolean | undefined
    } = {},
  ): Promise<RecordPage<WaitpointSummary, string>> {
    const { cursor = '', limit = 100, withSignals = false } = options
    checkWhole('limit', limit, anyCount)
    const all = await this.waitpoints(id, withSignals)
    const after = all.filter((point) => point.id > cursor)
    const page = after.slice(0, Math.min(limit, bounds.page_count.max))
    const nextCursor = after.length > page.length ? page.at(-1)?.id : undefined
    return {
      ...readRows(
        page,
        (point) => point.id,
        (point) => point.read(),
      ),
      nextCursor,
    }
  }

  async listSignals(
    id: ExecutionId,
    after: number,
    limit: number,
  ): Promise<RecordPage<Signal, number>> {
    checkWhole('limit', limit, anyCount)
    const { partition, local } = parseExecutionId(id)
    const count = Math.min(limit, bounds.page_count.max)
    const [answer, points] = await Promise.all([
      this.call(partition, 'signal.list', { id: local, after, count }),
      this.waitpoints(id, false),
    ])
    if (answer.outcome === 'absent') throw notFound(id)
    const { items: known } = readRows(
      points,
      (point) => point.id,
      (point) => point.read(),
    )
    const read = readRows(
      answer.signals,
      ({ position }) => String(position),
      (row) => finalEffect(readSignal(id, row), known),
    )
    return { ...read, nextCursor: answer.more ? answer.signals.at(-1)?.position : undefined }
  }

  async waitpointToken(id: ExecutionId, waitpointId: string): Promise<string> {
    const [token] = await this.waitpointTokens(id, [waitpointId])
    return token as string
  }

  async waitpointTokens(
    id: ExecutionId,
    waitpointIds: readonly string[],
  ): Promise<readonly string[]> {
    const { partition } = parseExecutionId(id)
    // Keys are read anew: one that this process takes for current may be replaced by now.
    const [listed, ring] = await Promise.all([
      this.listed(id, false),
      this.keyrings.read(partition),
    ])
    return waitpointIds.map((waitpointId) => {
      const text = listed.points[waitpointId]
      if (text === undefined) {
        throw new EngineError('waitpoint_not_found', `${waitpointId} of execution ${id}`, {
          details: { executionId: id, waitpointId },
        })
      }
      const { kid, attempt } = readStoredWaitpoint(id, waitpointId, text)
      const own = isKeyAlive(ring, kid, listed.now) ? ring.keys.get(kid) : undefined
      const key = own === undefined ? currentKey(ring) : { kid, secret: own.secret }
      return mintToken(key, { executionId: id, attempt, waitpointId })
    })
  }

  async resumeExecution(
    id: ExecutionId,
    options: { delayMs?: number | undefined; resumeId?: string | undefined } = {},
  ) {
    const { partition, local } = parseExecutionId(id)
    const { state, replayed } = await this.call(partition, 'execution.resume', {
      id: local,
      resume_id: options.resumeId ?? mintId(),
      delay_ms: options.delayMs,
    })
    return { state: state as LeafName, replayed }
  }

  async rotateSecret(kid: string, secret: string | Uint8Array, graceMs = defaultGraceMs) {
    const encoded = Buffer.from(secretBytes(secret)).toString('base64url')
    const args = { kid, secret: encoded, grace_ms: graceMs }
    const answers = await Promise.all(
      this.partitions.map(async (partition) => {
        // Replacing no key would leave the tokens of a key to come without a grace.
        await this.keyrings.of(partition)
        const answer = await this.call(partition, 'keyring.rotate', args)
        await this.keyrings.read(partition)
        return answer
      }),
    )
    return { replayed: answers.every(({ replayed }) => replayed) }
  }

  async allowSignals(policy: Partial<SignalPolicy>): Promise<SignalPolicy> {
    const args = {
      signals_per_execution: policy.signalsPerExecution,
      signals_per_suspension: policy.signalsPerSuspension,
      signals_per_sender: policy.signalsPerSender,
      sender_window_ms: policy.senderWindowMs,
    }
    const answers = await Promise.all(
      this.partitions.map((partition) => this.call(partition, 'partition.allow', args)),
    )
    const allowed = answers[0] as (typeof answers)[number]
    return {
      signalsPerExecution: allowed.signals_per_execution,
      signalsPerSuspension: allowed.signals_per_suspension,
      signalsPerSender: allowed.signals_per_sender,
      senderWindowMs: allowed.sender_window_ms,
    }
  }

  /** What the tokens among the waitpoints say; each must be one of this very execution. */
  private async verifyAll(
    specs: readonly WaitpointSpec[],
    executionId: ExecutionId,
  ): Promise<ReadonlyMap<string, TokenParts>> {
    const tokens = specs.flatMap((spec) => ('token' in spec ? [spec.token] : []))
    const entries = await Promise.all(
      tokens.map(async (token) => {
        const parts = await this.verify(token)
        checkTarget({ token, executionId }, parts)
        return [token, parts] as const
      }),
    )
    return new Map(entries)
  }

  /**
   * What a token says, if a key signed it. Whether that key still counts is decided where the
   * signal is accepted, by the server's clock.
   */
  private async verify(token: string): Promise<TokenParts> {
    const claimed = readToken(token)
    const { partition } = parseExecutionId(claimed.executionId)
    if (partition >= this.store.partitionCount)
      throw new EngineError('invalid_token', 'the token is not valid')
    const known = await this.keyrings.of(partition)
    // Another process may have installed the key a moment ago.
    const ring = known.keys.has(claimed.kid) ? known : await this.keyrings.read(partition)
    return verifyToken(ring, token)
  }

  /** Signs with the current key, and again with the next one when it was replaced meanwhile. */
  private async signing<Outcome>(
    partition: number,
    act: (key: SigningKey) => Promise<Outcome>,
  ): Promise<Outcome> {
    for (let tries = 1; ; tries++) {
      const key = currentKey(await this.keyrings.of(partition))
      try {
        return await act(key)
      } catch (error) {
        if (tries === signingTriesMax || !isEngineError(error, 'signing_key_replaced')) throw error
        await this.keyrings.read(partition)
      }
    }
  }

  /** The tokens of a suspension; those of a repeated call may be signed with an earlier key. */
  private async issued(
    partition: number,
    fence: Parameters<typeof suspendArguments>[0],
    { bindings }: SuspendRequest,
    key: SigningKey,
    replayed: boolean,
  ) {
    const holder = { ...fence, partition }
    if (!replayed) return issuedBy(holder, bindings, key)
    const executionId = formatExecutionId(partition, fence.id)
    return Promise.all(
      bindings.map(async ({ waitpointId, key: name, token }) => ({
        waitpointId,
        key: name,
        token: token ?? (await this.waitpointToken(executionId, waitpointId)),
      })),
    )
  }

  /** The rows with the payloads that the answer left out because it was full. */
  private async whole(
    partition: number,
    id: string,
    rows: readonly SignalRow[],
  ): Promise<SignalRow[]> {
    const complete: SignalRow[] = []
    for (const row of rows) {
      if (!row.left_out) {
        complete.push(row)
        continue
      }
      const args = { id, after: row.position - 1, count: 1 }
      const answer = await this.call(partition, 'signal.list', args)
      const found = answer.outcome === 'listed' ? answer.signals[0] : undefined
      if (found !== undefined) complete.push(found)
    }
    return complete
  }

  /** What resumed an execution: every one of these signals, or `corruption`. */
  private async read(partition: number, id: string, rows: readonly SignalRow[]): Promise<Signal[]> {
    const executionId = formatExecutionId(partition, id)
    const complete = await this.whole(partition, id, rows)
    return complete.map((row) => readSignal(executionId, row))
  }

  /** Every waitpoint by id, to be read one by one. */
  private async waitpoints(id: ExecutionId, withSignals: boolean) {
    const { partition, local } = parseExecutionId(id)
    const listed = await this.listed(id, withSignals)
    const rows = withSignals ? await this.whole(partition, local, listed.signals) : undefined
    const { keys } = await this.keyrings.of(partition)
    const fingerprint = ({ id: waitpointId, kid, attempt }: Waitpoint) => {
      const key = keys.get(kid)
      if (key === undefined) return undefined
      const target = { executionId: id, attempt, waitpointId }
      return tokenFingerprint(mintToken({ kid, secret: key.secret }, target))
    }
    return unreadWaitpoints(id, listed, rows, fingerprint)
  }

  private async listed(id: ExecutionId, withSignals: boolean) {
    const { partition, local } = parseExecutionId(id)
    const args = { id: local, with_signals: withSignals }
    const answer = await this.call(partition, 'waitpoint.list', args)
    if (answer.outcome === 'absent') throw notFound(id)
    return answer
  }
}

function notFound(id: string): EngineError {
  return new EngineError('execution_not_found', `there is no execution ${id}`, {
    details: { executionId: id },
  })
}
