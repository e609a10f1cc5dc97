// Turns a submission into the stored operation's arguments.
import { EngineError } from '../errors.ts'
import { digest } from '../ids.ts'
import { bounds, bytesMax, counts, defaults, failureClasses } from '../limits.ts'
import type { CapabilitySet, RetryPolicy, Submission } from './backend.ts'
import type { Arguments } from './contract.ts'
import { formatRetryPolicy, parseRetryPolicy } from './retry-policy.ts'

type SubmitArguments = Omit<Arguments<'execution.submit'>, 'id' | 'input'> & {
  readonly input: Uint8Array
}

/** Sorted, without repetition: equal sets share one route. */
export function formatCapabilities(capabilities: CapabilitySet | undefined): string {
  // Text is a list of letters too, and work that requires letters would never run.
  if (capabilities !== undefined && !Array.isArray(capabilities)) {
    throw new EngineError('invalid_capabilities', 'capabilities are not a list of words', {
      details: { argument: 'capabilities', given: String(capabilities) },
    })
  }
  const list = [...new Set(capabilities ?? [])]
  for (const capability of list) {
    if (typeof capability !== 'string' || capability === '' || capability.includes(',')) {
      throw new EngineError('invalid_capabilities', 'a capability is not a word without commas', {
        details: { argument: 'capabilities', given: String(capability) },
      })
    }
  }
  return list.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))).join(',')
}

function refuseRetry(why: string): never {
  throw new EngineError('invalid_input', `retry ${why}`, { details: { argument: 'retry', why } })
}

function storedRetry(retry: RetryPolicy | undefined): string | undefined {
  if (retry === undefined) return undefined
  const delayMs = retry.delayMs ?? defaults.backoffMs
  const multiplierMilli = (retry.multiplier ?? defaults.multiplierMilli / 1000) * 1000
  const classes = retry.on ?? ['transient', 'infra_crash']
  if (!Array.isArray(classes)) refuseRetry('must name its failure classes in a list')
  const unknown = classes.find((name) => !failureClasses.includes(name))
  if (unknown !== undefined) refuseRetry(`names the unknown failure class ${String(unknown)}`)
  if (Math.abs(multiplierMilli - Math.round(multiplierMilli)) > 1e-6) {
    refuseRetry('has a multiplier with more than three decimals')
  }
  const stored = formatRetryPolicy({
    attempts: retry.attempts,
    backoff: retry.backoff ?? 'fixed',
    firstMs: delayMs,
    longestMs: retry.maxDelayMs ?? Math.max(defaults.backoffMaxMs, delayMs),
    multiplierMilli: Math.round(multiplierMilli),
    jitter: retry.jitter ?? false,
    classes,
  })
  if (parseRetryPolicy(stored) === undefined) refuseRetry(`is out of bounds: ${stored}`)
  return retry.attempts === 1 ? undefined : stored
}

/** Tags as they are stored; undefined when there are none. */
export function storedTags(tags: Submission['tags']): string | undefined {
  if (tags === undefined) return undefined
  const entries = Object.entries(tags)
  if (entries.length === 0) return undefined
  const refuse = (why: string): never => {
    throw new EngineError('invalid_input', `tags ${why}`, { details: { argument: 'tags', why } })
  }
  if (entries.length > counts.tagsMax) refuse(`number more than ${counts.tagsMax}`)
  for (const [name, value] of entries) {
    if (!/^[a-z][\w.-]{0,63}$/i.test(name)) refuse('have a name that is not a short word')
    if (typeof value !== 'string' || Buffer.byteLength(value) > 256) {
      refuse('have a value that is not text of at most 256 bytes')
    }
  }
  return JSON.stringify(Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1))))
}

/** A tag's name alone, as searches ask for it. */
export const tagName = (name: string): string => digest('tag', name)

/** A tag with its value; the index of such executions has this name. */
export const tagPair = (name: string, value: string): string => digest('tag', name, value)

/** For each tag the digest of its name, and that of name and value. */
function tagDigests(tags: Submission['tags'] = {}): string | undefined {
  const pairs = Object.entries(tags).map(([name, value]) => tagName(name) + tagPair(name, value))
  return pairs.length === 0 ? undefined : pairs.sort().join(',')
}

/** Sorted, without repetition. */
function storedBudgets(budgets: Submission['budgets']): string | undefined {
  if (budgets === undefined) return undefined
  if (!Array.isArray(budgets) || budgets.some((id) => typeof id !== 'string' || id.includes(','))) {
    throw new EngineError('invalid_input', 'budgets are not a list of budget ids', {
      details: { argument: 'budgets' },
    })
  }
  return budgets.length === 0 ? undefined : [...new Set(budgets)].sort().join(',')
}

function checkKey(key: string): string {
  const length = typeof key === 'string' ? Buffer.byteLength(key) : 0
  if (length < 1 || length > 256) {
    throw new EngineError('invalid_input', 'idempotencyKey must be 1 to 256 bytes', {
      details: { argument: 'idempotencyKey' },
    })
  }
  return key
}

/** The arguments without the execution id; throws `invalid_input` for what does not fit. */
export function submitArguments(submission: Submission): SubmitArguments {
  const { input, retentionMs, delayMs, startAtMs, deadlineMs, deadlineAtMs } = submission
  if (!(input instanceof Uint8Array) || input.byteLength > bytesMax.input) {
    throw new EngineError('invalid_input', 'input must be at most 1 MiB of bytes', {
      details: { argument: 'input' },
    })
  }
  const capabilities = formatCapabilities(submission.capabilities)
  const key = submission.idempotencyKey
  const args = {
    lane: submission.lane,
    task: submission.task,
    input,
    key: key === undefined ? undefined : digest('key', checkKey(key)),
    fingerprint: undefined,
    not_before: delayMs === undefined ? startAtMs : undefined,
    delay_ms: delayMs,
    priority: submission.priority === 0 ? undefined : submission.priority,
    deadline_at: deadlineMs === undefined ? deadlineAtMs : undefined,
    deadline_ms: deadlineMs,
    attempt_timeout_ms: submission.attemptTimeoutMs,
    retention_ms: retentionMs === 'forever' ? bounds.retention_ms.max : retentionMs,
    reclaims_max: submission.reclaimsMax,
    capabilities: capabilities === '' ? undefined : capabilities,
    retry: storedRetry(submission.retry),
    tags: storedTags(submission.tags),
    limit: submission.limit,
    share: submission.fairnessKey,
    budgets: storedBudgets(submission.budgets),
  }
  const tagged = tagDigests(submission.tags)
  return { ...args, tagged, fingerprint: key === undefined ? undefined : fingerprint(args) }
}

/** What must be equal for two submissions under one key to be the same. */
function fingerprint({ input, key: _, ...rest }: Omit<SubmitArguments, 'tagged'>): string {
  return digest('submit', JSON.stringify(rest), input)
}
