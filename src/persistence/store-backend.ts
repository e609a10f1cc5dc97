// The engine's backend over any store: the one place that turns calls into stored operations.
import { EngineError, isEngineError } from '../errors.ts'
import {
  digest,
  type ExecutionId,
  formatExecutionId,
  type LaneId,
  LocalIdMaker,
  mintLeaseId,
  parseExecutionId,
  partitionOfDigest,
} from '../ids.ts'
import { bounds, defaults } from '../limits.ts'
import type { LeafName } from '../machines/generated/lifecycle.ts'
import { orRefused } from './answers.ts'
import { checkWhole } from './arguments.ts'
import type {
  BudgetBackend,
  BulkSubmitOutcome,
  CancelOutcome,
  CapabilitySet,
  ClaimedExecution,
  ClaimPolicy,
  CompleteOutcome,
  DelayOutcome,
  EngineBackend,
  ExecutionSnapshot,
  FailOutcome,
  FailureClass,
  FailureReason,
  Grant,
  GrantedClaim,
  GrantRequest,
  Handle,
  LaneState,
  LeaseRenewal,
  RenewOutcome,
  RevokeOutcome,
  Submission,
  SubmitOutcome,
  SweepOutcome,
  WatchOutcome,
} from './backend.ts'
import { BudgetOperations } from './budget-operations.ts'
import { ClaimLoop } from './claim-loop.ts'
import { claimRequest } from './claim-request.ts'
import type { FeedBackend } from './feed-backend.ts'
import { feedOperations } from './feed-operations.ts'
import { FlowBackend } from './flow-backend.ts'
import { claimedExecution, parseHandle } from './handle.ts'
import type { LimitBackend } from './limit-backend.ts'
import { limitOperations } from './limit-operations.ts'
import { LimitRelay } from './limit-relay.ts'
import { type ListingOperations, listingOperations } from './listing-operations.ts'
import { type LossBackend, lossOperations } from './loss-backend.ts'
import { type SearchBackend, searchOperations } from './search-backend.ts'
import { formatFailure, readEnding, readSnapshot } from './snapshot.ts'
import type { Durability, Store } from './store.ts'
import { StreamBackend, type StreamOperations } from './stream-backend.ts'
import { formatCapabilities, submitArguments } from './submission.ts'
import { SuspensionBackend } from './suspension-backend.ts'
import { sweepPartition } from './sweep.ts'
import type { UsageRelay } from './usage-relay.ts'

/** A backend over a store. The store belongs to the backend from now on. */
export function createBackend(store: Store): EngineBackend {
  const streams = new StreamBackend(store)
  const budgets = new BudgetOperations(store)
  return Object.assign(
    new StoreBackend(store, streams, budgets.relay),
    budgets.operations(),
    feedOperations(store),
    lossOperations(store),
    listingOperations(store),
    searchOperations(store),
    limitOperations(store),
    streams.operations(),
    new FlowBackend(store, budgets.relay).operations(),
  )
}

type Elsewhere = FeedBackend &
  LossBackend &
  StreamOperations &
  SearchBackend &
  ListingOperations &
  LimitBackend &
  BudgetBackend &
  ReturnType<FlowBackend['operations']>
type OfferedOperations = Omit<EngineBackend, keyof Elsewhere>

class StoreBackend extends SuspensionBackend implements OfferedOperations {
  readonly kind: Store['kind']
  readonly durability: Durability
  private readonly claims: ClaimLoop
  private readonly streams: StreamBackend
  private readonly limits: LimitRelay
  private readonly usage: UsageRelay
  private readonly ids = new LocalIdMaker()

  constructor(store: Store, streams: StreamBackend, usage: UsageRelay) {
    super(store)
    this.streams = streams
    this.usage = usage
    this.kind = store.kind
    this.durability = store.durability
    this.claims = new ClaimLoop(store)
    this.limits = new LimitRelay(store)
  }

  async submit(submission: Submission): Promise<SubmitOutcome> {
    const args = submitArguments(submission)
    const local = this.ids.next(Date.now())
    const place = args.key ?? digest('solo', local)
    const partition = partitionOfDigest(place, this.store.partitionCount)
    if (args.budgets !== undefined) await this.usage.attach(partition, args.budgets)
    const answer = await this.call(partition, 'execution.submit', { id: local, ...args })
    const executionId = formatExecutionId(partition, answer.id)
    // Our own id can only be known already because an answer was lost on the way.
    const isOwn = answer.outcome === 'submitted' || answer.id === local
    return { outcome: isOwn ? 'submitted' : 'duplicate', executionId }
  }

  submitMany(submissions: readonly Submission[]): Promise<readonly BulkSubmitOutcome[]> {
    return Promise.all(
      submissions.map((submission) => orRefused<SubmitOutcome>(this.submit(submission))),
    )
  }

  async claim(
    lanes: LaneId | readonly LaneId[],
    capabilities: CapabilitySet,
    policy: ClaimPolicy,
  ): Promise<readonly ClaimedExecution[]> {
    const request = claimRequest(lanes, capabilities, policy)
    await this.limits.listen()
    return this.claims.claim(request)
  }

  async renew(handle: Handle): Promise<LeaseRenewal> {
    const { partition, ...fence } = parseHandle(this.kind, handle)
    const { expires_at, epoch } = await this.call(partition, 'lease.renew', fence)
    return { expiresAtMs: expires_at, epoch }
  }

  renewMany(handles: readonly Handle[]): Promise<readonly RenewOutcome[]> {
    return Promise.all(
      handles.map((handle) =>
        orRefused(
          this.renew(handle).then((renewal) => ({ outcome: 'renewed' as const, ...renewal })),
        ),
      ),
    )
  }

  async progress(handle: Handle, percent?: number, message?: string): Promise<void> {
    const { partition, ...fence } = parseHandle(this.kind, handle)
    await this.call(partition, 'execution.progress', { ...fence, percent, note: message })
  }

  async complete(handle: Handle, payload?: Uint8Array): Promise<CompleteOutcome> {
    // Spelled out: work that ends well passes here, and copying by spread takes longer.
    const { partition, id, attempt, lease_id, epoch } = parseHandle(this.kind, handle)
    return this.call(partition, 'execution.complete', {
      id,
      attempt,
      lease_id,
      epoch,
      digest: payload === undefined ? digest('nothing') : digest('result', payload),
      result: payload,
    })
  }

  async fail(
    handle: Handle,
    reason: FailureReason,
    failureClass: FailureClass,
  ): Promise<FailOutcome> {
    const { partition, ...fence } = parseHandle(this.kind, handle)
    const failure = formatFailure(reason)
    const answer = await this.call(partition, 'execution.fail', {
      ...fence,
      digest: digest('failure', failureClass, failure),
      class: failureClass,
      failure,
      random_ppm: Math.floor(Math.random() * (bounds.random_ppm.max + 1)),
    })
    if (answer.outcome === 'failed') return answer
    const { outcome, retry_at, replayed } = answer
    return { outcome, retryAtMs: retry_at, replayed }
  }

  async cancel(handle: Handle, reason: string): Promise<CancelOutcome> {
    const { partition, ...fence } = parseHandle(this.kind, handle)
    return this.call(partition, 'execution.cancel', {
      ...fence,
      digest: digest('cancel', reason),
      why: reason,
    })
  }

  async delay(handle: Handle, untilMs: number): Promise<DelayOutcome> {
    const { partition, ...fence } = parseHandle(this.kind, handle)
    return this.call(partition, 'execution.delay', {
      ...fence,
      digest: digest('delay', String(untilMs)),
      until_ms: untilMs,
    })
  }

  async issueClaimGrant(id: ExecutionId, request: GrantRequest): Promise<Grant> {
    return this.grant(id, 'runnable', request)
  }

  async issueReclaimGrant(id: ExecutionId, request: GrantRequest): Promise<Grant> {
    return this.grant(id, 'leased', request)
  }

  async claimResumedExecution(claim: GrantedClaim): Promise<ClaimedExecution> {
    return this.claimGranted('runnable', claim)
  }

  async claimFromReclaim(claim: GrantedClaim): Promise<ClaimedExecution | undefined> {
    try {
      return await this.claimGranted('leased', claim)
    } catch (error) {
      // Somebody else was quicker, or the work needs nobody any more: no surprise to a reclaimer.
      if (isEngineError(error, ...noLongerReclaimable)) return undefined
      throw error
    }
  }

  async describeExecution(id: ExecutionId): Promise<ExecutionSnapshot | undefined> {
    const { partition, local } = parseExecutionId(id)
    if (partition >= this.store.partitionCount) return undefined
    const answer = await this.call(partition, 'execution.describe', { id: local })
    return answer.outcome === 'absent' ? undefined : readSnapshot(partition, local, answer)
  }

  async cancelExecution(id: ExecutionId, reason: string): Promise<CancelOutcome> {
    const { partition, local } = parseExecutionId(id)
    const { outcome, replayed } = await this.call(partition, 'execution.cancel_by_operator', {
      id: local,
      why: reason,
    })
    return { outcome, replayed }
  }

  async revokeLease(id: ExecutionId, expectedLeaseId?: string): Promise<RevokeOutcome> {
    const { partition, local } = parseExecutionId(id)
    const answer = await this.call(partition, 'lease.revoke', {
      id: local,
      lease_id: expectedLeaseId,
    })
    return answer.outcome === 'revoked'
      ? { outcome: 'revoked', epoch: answer.epoch }
      : { outcome: 'already_lost', state: answer.state as LeafName }
  }

  async changePriority(id: ExecutionId, priority: number): Promise<{ from: number; to: number }> {
    const { partition, local } = parseExecutionId(id)
    const { from, to } = await this.call(partition, 'execution.reprioritize', {
      id: local,
      priority,
    })
    return { from, to }
  }

  async replayExecution(
    id: ExecutionId,
    replayId: string = mintLeaseId(),
    options: { readonly reopen?: boolean } = {},
  ): Promise<{ replays: number }> {
    const { partition, local } = parseExecutionId(id)
    const { replays } = await this.call(partition, 'execution.replay', {
      id: local,
      replay_id: replayId,
      reopen: options.reopen ?? false,
    })
    return { replays }
  }

  async blockExecution(id: ExecutionId, reason: string): Promise<void> {
    const { partition, local } = parseExecutionId(id)
    await this.call(partition, 'execution.block', { id: local, why: reason })
  }

  async unblockExecution(id: ExecutionId, reason: string): Promise<void> {
    const { partition, local } = parseExecutionId(id)
    await this.call(partition, 'execution.unblock', { id: local, why: reason })
  }

  async purgeExecution(id: ExecutionId): Promise<{ outcome: 'purged' | 'absent' }> {
    const { partition, local } = parseExecutionId(id)
    return this.call(partition, 'execution.purge', { id: local })
  }

  pauseLane(lane: LaneId): Promise<void> {
    return this.setLane(lane, 'paused')
  }

  resumeLane(lane: LaneId): Promise<void> {
    return this.setLane(lane, 'active')
  }

  drainLane(lane: LaneId): Promise<void> {
    return this.setLane(lane, 'draining')
  }

  async watch(id: ExecutionId): Promise<WatchOutcome> {
    const { partition, local } = parseExecutionId(id)
    const answer = await this.call(partition, 'execution.watch', { id: local })
    return answer.outcome === 'pending'
      ? { outcome: 'pending', state: answer.state as LeafName }
      : readEnding(id, answer)
  }

  onEnded(listener: (id: ExecutionId | undefined) => void): Promise<() => void> {
    return this.store.listen((notice) => {
      if (notice.notice === 'ended') listener(formatExecutionId(notice.partition, notice.local))
      else if (notice.notice === 'gap') listener(undefined)
    })
  }

  async sweep(partition: number, count = 100): Promise<SweepOutcome> {
    checkWhole('partition', partition, { min: 0, max: this.store.partitionCount - 1 })
    return sweepPartition(this.store, { limits: this.limits, usage: this.usage }, partition, count)
  }

  close(): Promise<void> {
    this.claims.close()
    this.streams.close()
    return this.store.close()
  }

  private async grant(
    id: ExecutionId,
    of: 'runnable' | 'leased',
    { worker, grantMs, capabilities }: GrantRequest,
  ): Promise<Grant> {
    const { partition, local } = parseExecutionId(id)
    const answer = await this.call(partition, 'lease.grant', {
      id: local,
      of,
      grant_id: mintLeaseId(),
      worker,
      grant_ms: grantMs ?? 5000,
      capabilities: formatCapabilities(capabilities),
    })
    return {
      executionId: id,
      lane: answer.lane,
      grantId: answer.grant_id,
      worker,
      expiresAtMs: answer.expires_at,
    }
  }

  private async claimGranted(
    of: 'runnable' | 'leased',
    { grant, leaseMs, leaseId }: GrantedClaim,
  ): Promise<ClaimedExecution> {
    const { partition, local } = parseExecutionId(grant.executionId)
    const { rows } = await this.call(partition, 'lease.claim_granted', {
      id: local,
      of,
      grant_id: grant.grantId,
      worker: grant.worker,
      // Derived from the grant, so that the same claim again finds its own lease.
      lease_id: leaseId ?? grant.grantId,
      lease_ms: leaseMs ?? defaults.leaseMs,
    })
    const row = rows[0]
    if (row === undefined) throw new EngineError('invariant_broken', 'a claim without a row')
    return claimedExecution(this.kind, partition, row)
  }

  private async setLane(lane: LaneId, state: LaneState): Promise<void> {
    await Promise.all(
      this.partitions.map((partition) => this.call(partition, 'lane.set_state', { lane, state })),
    )
  }
}

const noLongerReclaimable = [
  'execution_not_found',
  'execution_not_reclaimable',
  'invalid_claim_grant',
  'claim_grant_expired',
] as const
