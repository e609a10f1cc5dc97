// Every numeric bound of the engine, each with its unit and its reason.

const dayMs = 86_400_000

/** A closed interval of integers. */
export interface Bounds {
  readonly min: number
  readonly max: number
}

/**
 * Integers that callers hand in. The same table is generated for Lua, so that client and server
 * refuse the same values.
 */
export const bounds = {
  /** Times: up to the last millisecond that a Date can hold. */
  ms: { min: 0, max: 8_640_000_000_000_000 },
  /** Ranges over 9,000 would let scores leave the exact range of doubles. */
  priority: { min: 0, max: 9000 },
  /** Shorter leases cannot be renewed in time; longer ones leave crashed work lying. */
  lease_ms: { min: 100, max: 3_600_000 },
  grant_ms: { min: 1, max: 60_000 },
  /** One claim answers within one server call, so it stays small. */
  claim_count: { min: 1, max: 256 },
  /** One step of a search looks at so many at most: a millisecond or two of the server's time. */
  search_count: { min: 1, max: 1000 },
  page_count: { min: 0, max: 1000 },
  sweep_count: { min: 1, max: 1000 },
  attempts_max: { min: 1, max: 10_001 },
  reclaims_max: { min: 0, max: 10_000 },
  backoff_ms: { min: 1, max: 30 * dayMs },
  /** Backoff multiplier in thousandths, so that no fraction crosses the wire. */
  multiplier_milli: { min: 1000, max: 100_000 },
  attempt_timeout_ms: { min: 1, max: 30 * dayMs },
  /** A hundred years stands for "keep for ever". */
  retention_ms: { min: 0, max: 36_500 * dayMs },
  /** Lengths of time before a start or a deadline. */
  span_ms: { min: 0, max: 36_500 * dayMs },
  /** The random draw behind jitter, in millionths. */
  random_ppm: { min: 0, max: 999_999 },
  percent: { min: 0, max: 100 },
  index: { min: 0, max: 4_294_967_295 },
  epoch: { min: 1, max: Number.MAX_SAFE_INTEGER },
  /** How long a waitpoint waits for its suspension: it ends with its run at the latest. */
  waitpoint_ms: { min: 1000, max: 366 * dayMs },
  /** How often, how many: what an operator may allow senders of signals. */
  allowance: { min: 1, max: 1_000_000 },
  allowance_ms: { min: 1, max: dayMs },
  /** How long tokens of a replaced key still count. */
  grace_ms: { min: 0, max: 366 * dayMs },
  /** Position of a signal in its execution, from 1; 0 stands before the first. */
  position: { min: 0, max: 1_000_000_000 },
  partition_count: { min: 1, max: 1024 },
  /** Places in the feed, counted in bytes since its beginning. */
  feed_offset: { min: 0, max: Number.MAX_SAFE_INTEGER },
  /** With 0 only what is not yet a whole segment is kept. */
  feed_bytes: { min: 0, max: 1_073_741_824 },
  /** Frames of an attempt are numbered from 1; a cursor may stand before the first. */
  frame_number: { min: 1, max: Number.MAX_SAFE_INTEGER },
  frame_cursor: { min: 0, max: Number.MAX_SAFE_INTEGER },
  frame_count: { min: 1, max: 10_000 },
  /** Longer waits would outlive what lies between client and server. */
  tail_ms: { min: 0, max: 30_000 },
  /** How many inbound edges must be satisfied. */
  quorum: { min: 1, max: 20_000 },
  /** Work of a limit that may run at once; 0 is no bound. */
  slot_count: { min: 0, max: 1_000_000 },
  /** Work of a limit that may begin within its window, each remembered; 0 is no bound. */
  start_count: { min: 0, max: 100_000 },
  window_ms: { min: 1, max: dayMs },
  /** Number of an execution's request for a slot, from 1. */
  ticket: { min: 1, max: Number.MAX_SAFE_INTEGER },
  /** Number of a partition, from 0. */
  partition: { min: 0, max: 1023 },
  /** Numbers of usage reports: no smaller than the time in microseconds. */
  usage_seq: { min: 1, max: Number.MAX_SAFE_INTEGER },
  usage_settled: { min: 0, max: Number.MAX_SAFE_INTEGER },
  /** What a budget counts, in whatever unit: sums stay exact. */
  amount: { min: 0, max: Number.MAX_SAFE_INTEGER },
  /** Versions of what a budget tells: no smaller than the time in microseconds. */
  budget_version: { min: 0, max: Number.MAX_SAFE_INTEGER },
  /** Shorter periods would only be resets. */
  reset_ms: { min: 1000, max: 366 * dayMs },
  /** What a crashed worker reserved must come back by itself. */
  reservation_ms: { min: 1, max: dayMs },
  summary_version: { min: 0, max: Number.MAX_SAFE_INTEGER },
} as const satisfies Record<string, Bounds>

/** Lengths in bytes. Words stay at 64 so that a record keeps Valkey's compact encoding. */
export const bytesMax = {
  word: 64,
  text: 2048,
  /** Sixty-four lanes of the longest names. */
  lanes: 4160,
  input: 1_048_576,
  /** Larger inputs travel beside the functions, not through Lua. */
  inlineInput: 1024,
  /** One up to this size comes with its claim all the same when that claim asks for no other. */
  loneInput: 16_384,
  failure: 102_400,
  capabilities: 4096,
  tags: 16_384,
  /** Free text: the identity of a sender, a correlation id, an idempotency key. */
  label: 256,
  kid: 32,
  signalPayload: 65_536,
  /** A compiled resume condition. */
  condition: 8192,
  /** Sixty-four bindings with the longest keys. */
  waitpoints: 8192,
  /** Payload of one frame of a stream. */
  frame: 65_536,
  /** The rolling document of an attempt. */
  summary: 262_144,
  /** Thirty-two dimensions of the longest names, and sixty-four with two limits each. */
  amounts: 4096,
  dimensionLimits: 8192,
  /** Eight budgets with the longest ids. */
  budgetIds: 519,
  /** A page of frames is full once it holds so much: one answer must not hold the server up. */
  page: 4_194_304,
} as const

export const counts = {
  capabilitiesMax: 256,
  /** Each lane of a claim costs the server a few microseconds. */
  lanesPerClaimMax: 64,
  tagsMax: 64,
  /** How far ahead a worker may park its execution. */
  delayAheadMs: 366 * dayMs,
  /** Executions that one call promotes at most before it does its own work. */
  promotePerCall: 64,
  /** Ended attempts kept per execution; older ones are dropped. */
  attemptLogMax: 100,
  replaysMax: 10,
  reclaimsDefault: 100,
  waitpointsPerSuspensionMax: 64,
  /** Issued over the whole life of one execution. */
  waitpointsPerExecutionMax: 10_000,
  /** Signals that one waitpoint keeps until its suspension. */
  bufferedSignalsMax: 1000,
  /** How far in the past a suspension's deadline may lie: clocks differ. */
  deadlineSkewMs: 600_000,
  /** Composites inside composites of a resume condition. */
  conditionDepthMax: 4,
  /** Signals that a resume condition may need in all: no more are taken in one suspension. */
  conditionSignalsMax: 1000,
  /** Operations that travel in one server call at most: bounds how long the server is busy. */
  batchMax: 128,
  /** The feed is trimmed by whole segments; copying one on sealing must not hold anybody up. */
  feedSegmentBytes: 16_384,
  /** A sweep seals no younger end of the feed: by so much events may outlive their time. */
  feedTailMs: 3_600_000,
  /** Segments that one call drops at most. */
  feedDropsMax: 64,
  /** Durable frames kept per attempt; older ones go once there are as many more as the slack. */
  durableFramesMax: 10_000,
  durableFramesSlack: 1000,
  liveFramesMax: 1000,
  liveFramesSlack: 100,
  /** Live frames that outlast the attempt, for readers that are a moment behind. */
  liveFramesAfterEnd: 100,
  /** Nesting of a merge patch. */
  patchDepthMax: 16,
  /** Members of one flow: all of them live in one partition. */
  flowMembersMax: 20_000,
  /** Edges that are looked at in search of a cycle, in one call. */
  graphVisitsMax: 100_000,
  /** Edges or members that one step of the work that follows from an operation takes up. */
  graphChunk: 64,
  /** Who feeds more downstreams than this is not cancelled as no longer needed. */
  sparedFeedsMax: 64,
  /** Such work that one operation does at most before the rest is left for later. */
  workPerCall: 64,
  /** How long a slot is kept for admitted work that nobody claims. */
  permitMs: 30_000,
  /** What another partition has to be told is told again unless it is confirmed by then. */
  owedAgainMs: 2000,
  /** How often a slot's home asks another partition whether its holder still needs it. */
  slotCheckMs: 60_000,
  /** Work that one call admits at most to one bucket; the calls after it admit the rest. */
  admissionsPerCall: 64,
  /** Work that one claim withholds at most while it looks for other work. */
  withheldPerCall: 64,
  /** Keys without claimable work that one claim looks at besides those that it takes from. */
  idleTurnsMax: 64,
  /** Dimensions that one report tells, and that one budget limits or counts. */
  dimensionsPerReportMax: 32,
  budgetDimensionsMax: 64,
  budgetsPerExecutionMax: 8,
  /** Executions that one claim keeps back or fails, at most, while it looks for others. */
  stoppedPerCall: 64,
  /** Executions that one call lets go when a budget has room again; a sweep goes on. */
  admittedPerCall: 64,
  /** Live reservations of one budget: when some run out, all are looked at. */
  reservationsMax: 1000,
  /** Reports kept per execution for whoever repeats a key; then the older half is forgotten. */
  usageLogMax: 1000,
  /** Reports of one execution on their way to budgets. */
  unsettledUsageMax: 256,
  /** After so long without an answer a report is sent to its budget again. */
  usageResendMs: 2000,
  /** For so long after its last report, a budget at least knows what an execution used of it. */
  ledgerKeepMs: 7 * 86_400_000,
  /** Tails that wait at the same time, per backend. */
  tailsMax: 64,
} as const

export const defaults = {
  leaseMs: 30_000,
  retentionMs: dayMs,
  backoffMs: 1000,
  backoffMaxMs: 60_000,
  multiplierMilli: 2000,
  /** How much of what happened each partition tells, and for how long. */
  feedBytes: 16_777_216,
  feedMs: dayMs,
} as const

/** What senders of signals may do until an operator allows something else. */
export const signalPolicyDefaults = {
  /** Over the whole life of one execution. */
  signals_per_execution: 10_000,
  signals_per_suspension: 1000,
  /** Of one sender to one execution, within each window. */
  signals_per_sender: 600,
  sender_window_ms: 60_000,
} as const

/** What happens when a suspension's time is over: the word is stored. */
export const timeoutBehaviours = [
  'fail',
  'cancel',
  'expire',
  'auto_resume',
  'auto_resume_with_signal',
  'escalate',
] as const

/** Index score of a suspension without a deadline: after all that have one. */
export const noDeadlineScore = 9_999_999_999_999

/** Each step of priority outweighs any difference in age: 10^12 ms are 31.7 years. */
export const priorityStepMs = 1_000_000_000_000

/** Score of an index row that a live grant reserves: behind everything claimable. */
export const grantedScore = 9_000_000_000_000_000

/**
 * How an attempt failed, as far as the engine cares: it decides whether a retry makes sense. Stored
 * policies name each class by its letter, to stay short.
 */
export const failureClassLetters = {
  transient: 't',
  permanent: 'p',
  infra_crash: 'i',
  timeout: 'o',
  cancelled: 'c',
} as const

export type FailureClass = keyof typeof failureClassLetters

export const failureClasses = Object.keys(failureClassLetters) as readonly FailureClass[]

/** What a lane lets through: everything; submissions only; claims only. */
export const laneStates = ['active', 'paused', 'draining'] as const

/** What a budget does when a hard limit is reached: the word is stored. */
export const hardLimitActions = ['warn', 'fail', 'withhold', 'deny_children'] as const

/** Whether a report is counted whatever the limits, or only within them. */
export const usageModes = ['record', 'enforce'] as const

/** How the frames of a stream are kept, and how their payload is to be read. */
export const frameModes = ['durable', 'live'] as const
export const frameEncodings = ['binary', 'utf8', 'json'] as const

/** Words of which an argument takes one, by the name of its kind. */
export const choices = {
  edge_kind: ['success', 'completion'],
  edge_direction: ['incoming', 'outgoing'],
  join_policy: ['all', 'any', 'quorum'],
  /** What becomes of the upstreams that a decided group does not need any more. */
  join_remaining: ['cancel', 'run'],
  /** What becomes of an execution whose group can no longer be satisfied. */
  join_impossible: ['skip', 'resume', 'fail'],
  /** Whether the first failure decides, or only the last ending. */
  join_collect: ['first', 'all'],
  flow_failure: ['isolate', 'fail_fast'],
  flow_completion: ['all', 'root'],
  hard_limit_action: hardLimitActions,
  usage_mode: usageModes,
  /** From the narrowest to the widest. */
  cancel_policy: ['flow_only', 'cancel_pending', 'cancel_all'],
} as const

export type Choice<Kind extends keyof typeof choices> = (typeof choices)[Kind][number]

/** How many entries a list of records may have, so that one call stays small. */
export const partsMax = { members: 256, edges: 1024, joins: 256 } as const
