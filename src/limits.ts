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
  partition_count: { min: 1, max: 1024 },
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
  failure: 102_400,
  capabilities: 4096,
  tags: 16_384,
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
  /** Operations that travel in one server call at most: bounds how long the server is busy. */
  batchMax: 128,
} as const

export const defaults = {
  leaseMs: 30_000,
  retentionMs: dayMs,
  backoffMs: 1000,
  backoffMaxMs: 60_000,
  multiplierMilli: 2000,
} as const

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
