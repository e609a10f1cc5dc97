// The one error class of the engine and the catalogue of its stable codes.

/** What kind of surprise an error is; every code belongs to exactly one family. */
export type ErrorFamily =
  | 'NotFound'
  | 'Validation'
  | 'Contention'
  | 'Conflict'
  | 'State'
  | 'Execution'
  | 'Bug'
  | 'Transport'
  | 'Timeout'
  | 'Unavailable'
  | 'ResourceExhausted'

interface Entry {
  readonly family: ErrorFamily
  /** True when the same call may succeed later without anybody changing anything. */
  readonly retryable: boolean
  readonly advice: string
}

const entry = (family: ErrorFamily, retryable: boolean, advice: string): Entry => ({
  family,
  retryable,
  advice,
})

const wrong = (advice: string): Entry => entry('Validation', false, advice)
const contended = (advice: string): Entry => entry('Contention', false, advice)
const settledState = (advice: string): Entry => entry('State', false, advice)

/** Every code that the engine throws, with its family and what to do about it. */
export const errorCatalogue = {
  execution_not_found: entry(
    'NotFound',
    false,
    'Check the execution id; retention may have purged it.',
  ),
  invalid_input: wrong('Correct the named argument; nothing was written.'),
  invalid_capabilities: wrong('Correct the named capability; nothing was written.'),
  invalid_handle: wrong('Pass a handle exactly as a claim returned it.'),
  handle_from_other_backend: wrong('Use a handle only with the backend that issued it.'),
  corruption: wrong(
    'A stored record does not parse: details name its key and field. Restore or purge it.',
  ),
  partition_mismatch: wrong(
    'Open the namespace with the partition count that it was created with.',
  ),
  invalid_resume_condition: wrong(
    'Correct the condition at the named path by the named rule; nothing was written.',
  ),
  invalid_waitpoint_for_execution: wrong('Use the token of a waitpoint of this very execution.'),
  missing_token: wrong('Send the token that came with the waitpoint.'),
  invalid_token: wrong('Send the token exactly as it came with the waitpoint.'),
  token_expired: wrong(
    'Its signing key was replaced too long ago; the waitpoint needs an operator.',
  ),
  invalid_secret: wrong('Sign with at least 32 random bytes, such as 64 random hex digits.'),
  payload_too_large: wrong('Send at most 64 KiB; store more elsewhere and send where it is.'),
  waitpoint_limit_exceeded: wrong(
    'This execution issued too many waitpoints; nothing was written.',
  ),
  signal_misfit: wrong('A signal came that the schema of its wait refuses; catch it to ask again.'),
  signal_limit_exceeded: wrong('This execution takes no more signals; nothing was written.'),
  limit_not_found: entry('NotFound', false, 'Set the limit first.'),
  budget_not_found: entry('NotFound', false, 'Check the budget id, or create the budget first.'),
  waitpoint_not_found: entry('NotFound', false, 'Check the waitpoint id and its execution.'),
  execution_not_active: contended('Stop working: this execution is not under a lease any more.'),
  execution_not_leaseable: contended('Claim other work: this execution cannot be leased now.'),
  execution_not_eligible: contended(
    'The execution is in a state that this operation does not act on.',
  ),
  execution_not_reclaimable: contended('Only an execution whose lease was lost can be reclaimed.'),
  not_a_resumed_execution: contended('Use claim: there is no interrupted attempt to continue.'),
  invalid_claim_grant: contended(
    'Ask for a new grant: this one is unknown, used, or for another worker.',
  ),
  claim_grant_expired: contended('Ask for a new grant and use it before it expires.'),
  signing_key_replaced: contended('Sign with the current key; the backend does so by itself.'),
  grant_already_exists: contended(
    'Another worker holds a grant; wait until it is used or expires.',
  ),
  flow_not_found: entry('NotFound', false, 'Check the flow id; retention may have purged it.'),
  flow_differs: entry('Conflict', false, 'Use a new id for a flow with other policies.'),
  flow_ended: settledState('This flow is over: begin a new one, or replay with reopening.'),
  flow_not_ended: settledState('Only a flow whose members have all ended can be purged.'),
  execution_in_other_flow: entry('Conflict', false, 'An execution is in one flow for ever.'),
  execution_in_flow: settledState('Members go with their flow: purge the flow.'),
  execution_not_in_flow: wrong('Name members of this flow, or add them in the same call.'),
  edge_exists: entry('Conflict', false, 'These two are joined by an edge of another kind or name.'),
  graph_cycle: wrong('Remove an edge of the named cycle; nothing was written.'),
  graph_too_large: entry('ResourceExhausted', false, 'Split the graph; nothing was written.'),
  group_sealed: settledState('Its inbound edges are fixed: create it with `hold` to add more.'),
  group_differs: entry('Conflict', false, 'How its inbound edges are joined was fixed before.'),
  quorum_unreachable: wrong('Ask for at most as many as there are inbound edges.'),
  dependency_failed: settledState('An upstream still stands against it: replay that one first.'),
  capability_mismatch: wrong('Grant it to a worker that offers the missing capabilities.'),
  idempotency_mismatch: entry(
    'Conflict',
    false,
    'Use a new idempotency key for a different submission.',
  ),
  budget_exhausted: contended(
    'A budget of this work is used up; raise it, reset it, or wait for its reset.',
  ),
  budget_conflict: entry(
    'Conflict',
    false,
    'Use another id, or change the budget that there is: it was created with other limits.',
  ),
  waitpoint_already_exists: entry(
    'Conflict',
    false,
    'Use a new waitpoint id: this one was issued before.',
  ),
  rotation_conflict: entry(
    'Conflict',
    false,
    'Use a new key id: this one stands for another secret.',
  ),
  stale_lease: settledState('Stop working: a newer lease owns this execution.'),
  lease_expired: settledState('Stop working: the lease ran out; the work will be claimed again.'),
  lease_revoked: settledState('Stop working: an operator took the lease away.'),
  already_settled: settledState('This lease was already given back by another call; see details.'),
  attempt_timed_out: settledState('Stop working: this attempt took longer than it may.'),
  execution_not_terminal: settledState('Only an ended execution can be replayed or purged.'),
  max_replays_exhausted: settledState('Submit a new execution instead of replaying once more.'),
  already_suspended: settledState('This execution is suspended already; keep its first answer.'),
  execution_not_suspended: settledState('Nothing to resume: this execution does not wait.'),
  wait_overridden: settledState('An operator went on without a signal; catch it to do so too.'),
  waitpoint_closed: settledState('Too late: this waitpoint takes no more signals.'),
  waitpoint_not_pending: settledState('Use a waitpoint that no suspension has used before.'),
  pending_waitpoint_expired: settledState('Create a new waitpoint: this one ran out of time.'),
  target_not_signalable: settledState('Too late: the execution has ended.'),
  frame_gap: settledState('Append the frame after the last one, whose number is in the details.'),
  lane_closed: settledState('The lane is draining; resume it before submitting to it.'),
  execution_failed: entry('Execution', false, 'See the failure in details; replay it when fixed.'),
  execution_cancelled: entry('Execution', false, 'The execution was cancelled; see the reason.'),
  execution_expired: entry('Execution', false, 'The execution ran out of time; see the reason.'),
  execution_skipped: entry('Execution', false, 'A dependency made this execution unnecessary.'),
  invariant_broken: entry('Bug', false, 'Report this: the engine contradicted itself.'),
  server_fault: entry('Transport', false, 'The server answered with an error; see the cause.'),
  access_denied: entry(
    'Unavailable',
    false,
    'Correct the user name or password in the url, or what that user may do.',
  ),
  server_unsupported: entry(
    'Unavailable',
    false,
    'Use Valkey 7.2 or later, or Redis 7.0 or later.',
  ),
  connection_timeout: entry('Timeout', true, 'Check that the server is up and reachable; retry.'),
  wait_timed_out: entry('Timeout', false, 'Nobody signalled in time; catch it to go on without.'),
  cancel_timeout: entry('Timeout', true, 'Members are still being cancelled; ask again.'),
  result_timeout: entry('Timeout', true, 'The execution has not ended yet; wait again.'),
  engine_closed: entry('Unavailable', false, 'Open a new engine: this one was closed.'),
  directory_in_use: entry('Unavailable', true, 'Only one process may open a directory at a time.'),
  directory_invalid: entry(
    'Unavailable',
    false,
    'Choose an empty folder or one that Holdfast made.',
  ),
  directory_closed: entry('Unavailable', false, 'Open the directory again after a failed write.'),
  limit_reached: entry('ResourceExhausted', true, 'Its limit has no room now; claim other work.'),
  budget_overflow: entry(
    'ResourceExhausted',
    false,
    'A budget counts up to 2^53 - 1, in at most 64 dimensions; nothing was written.',
  ),
  reservation_limit_exceeded: entry(
    'ResourceExhausted',
    true,
    'Too many reservations of this budget are open; report usage or let them run out.',
  ),
  usage_log_full: entry(
    'ResourceExhausted',
    true,
    'Too many reports of this execution wait for their budgets; report again later.',
  ),
  signal_rate_limited: entry(
    'ResourceExhausted',
    true,
    'This sender sent too much; wait as long as details say.',
  ),
  server_out_of_memory: entry(
    'ResourceExhausted',
    true,
    'Give the server memory, or shorten retention; nothing was written.',
  ),
  tails_exhausted: entry(
    'ResourceExhausted',
    true,
    'Wait as long as the details say, or tail with fewer readers per process.',
  ),
} as const satisfies Record<string, Entry>

/** A stable error code. */
export type ErrorCode = keyof typeof errorCatalogue

/** Facts that travel with an error, by name. */
export type ErrorDetails = Readonly<Record<string, unknown>>

interface ErrorOptions {
  readonly cause?: unknown
  readonly details?: ErrorDetails
}

/**
 * A surprise: something that a correct caller could not expect as an answer.
 *
 * `code` is stable, `family` groups codes, `retryable` tells whether the same call may work later,
 * `details` holds the facts. Expected answers are never thrown: they are values.
 *
 * @example
 * ```ts
 * import { EngineError } from 'holdfast'
 *
 * const error = new EngineError('stale_lease', 'lease 7 was superseded')
 * console.log(error.family, error.retryable)
 * // State false
 * ```
 */
export class EngineError extends Error {
  override readonly name = 'EngineError'
  readonly code: ErrorCode
  readonly details: ErrorDetails

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(
      `${code}: ${message}. ${errorCatalogue[code].advice}`,
      options.cause === undefined ? undefined : { cause: options.cause },
    )
    this.code = code
    this.details = options.details ?? {}
  }

  get family(): ErrorFamily {
    return errorCatalogue[this.code].family
  }

  get retryable(): boolean {
    return errorCatalogue[this.code].retryable
  }
}

/** Throws a Bug error when `condition` does not hold. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new EngineError('invariant_broken', message)
}

/** Whether `error` is an EngineError, optionally with one of the given codes. */
export function isEngineError(error: unknown, ...codes: ErrorCode[]): error is EngineError {
  return error instanceof EngineError && (codes.length === 0 || codes.includes(error.code))
}
