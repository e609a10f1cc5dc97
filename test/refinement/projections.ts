// The small specifications that together bound the refinement: what is submitted, what may pile up.
import type { Arguments } from '../../src/persistence/contract.ts'
import type { ExecutionFields } from '../../src/persistence/embedded/execution-fields.ts'
import type { Keyspace } from '../../src/persistence/embedded/keyspace.ts'
import { formatRetryPolicy, type StoredRetryPolicy } from '../../src/persistence/retry-policy.ts'
import { executionId } from './subject.ts'
import { isWithinWaits, type Waits } from './wait-states.ts'

export type Submission = Arguments<'execution.submit'>

/** Work like this may be submitted; only its states within the bounds are explored. */
export interface Projection {
  readonly name: string
  readonly submissions: readonly Submission[]
  /** Which ways of waiting are called, if any. */
  readonly waits?: Waits
  /** Names of operations that other projections are about. */
  readonly leavesOut?: RegExp
  /** Whether a state is explored; calls that lead out of the bounds are performed all the same. */
  within(fields: Readonly<ExecutionFields>, lane: string, keyspace: Keyspace): boolean
}

const plain: Submission = {
  id: executionId,
  lane: 'lane',
  task: 'task',
  input: Buffer.from('input'),
  key: undefined,
  fingerprint: undefined,
  not_before: undefined,
  delay_ms: undefined,
  priority: undefined,
  deadline_at: undefined,
  deadline_ms: undefined,
  attempt_timeout_ms: undefined,
  retention_ms: 2000,
  reclaims_max: undefined,
  capabilities: undefined,
  retry: undefined,
  tags: undefined,
  tagged: undefined,
  limit: undefined,
  share: undefined,
  budgets: undefined,
}

/** What a projection lets pile up; everything that it does not name must not be there at all. */
interface Bounds {
  readonly attempts: number
  readonly reclaims?: number
  readonly retries?: number
  readonly replays?: number
  readonly mayPark?: boolean
  readonly mayBlock?: boolean
  readonly mayGrant?: boolean
  readonly mayProgress?: boolean
  readonly mayWatch?: boolean
  readonly mayPause?: boolean
  readonly mayStream?: boolean
}

function within(bounds: Bounds) {
  const { attempts, reclaims = 0, retries = 0, replays = 0 } = bounds
  return (f: Readonly<ExecutionFields>, lane: string): boolean =>
    (f.attempt ?? -1) < attempts &&
    (f.reclaims ?? 0) <= reclaims &&
    (f.retries ?? 0) <= retries &&
    (f.replays ?? 0) <= replays &&
    (bounds.mayPark === true || f.parked === undefined) &&
    (bounds.mayBlock === true || f.block_reason === undefined) &&
    (bounds.mayGrant === true || f.grant_id === undefined) &&
    (bounds.mayProgress === true || (f.progress === undefined && f.noted === undefined)) &&
    (bounds.mayWatch === true || f.watched === undefined) &&
    (bounds.mayStream === true || (f.streamed === undefined && f.tailed === undefined)) &&
    (lane === 'active' || (bounds.mayPause === true && lane === 'paused')) &&
    f.priority === undefined
}

function retry(overrides: Partial<StoredRetryPolicy> = {}): string {
  return formatRetryPolicy({
    attempts: 3,
    backoff: 'fixed',
    firstMs: 500,
    longestMs: 500,
    multiplierMilli: 1000,
    jitter: false,
    classes: ['transient', 'timeout'],
    ...overrides,
  })
}

const growing = {
  backoff: 'exponential',
  firstMs: 200,
  longestMs: 1000,
  multiplierMilli: 3000,
} as const

/** What waiting has nothing to do with. */
const elsewhere = [
  'stream',
  'lane',
  'lease\\.(grant|claim_granted|find)',
  'execution\\.(progress|block|unblock|reprioritize)',
]

const besideEndings = new RegExp(`^(${[...elsewhere, 'execution\\.delay'].join('|')})`)

/** Of the rest, what ends waits or does nothing to them, whatever came before. */
const besideWaits = new RegExp(
  `^(${[...elsewhere, 'execution\\.(delay|watch|purge|replay|cancel$)'].join('|')})`,
)

export const projections: readonly Projection[] = [
  {
    name: 'lease and fence',
    submissions: [{ ...plain, reclaims_max: 2 }],
    within: within({ attempts: 3, reclaims: 2, mayPark: true }),
  },
  {
    name: 'times',
    submissions: [
      { ...plain, deadline_ms: 4000, attempt_timeout_ms: 1500, delay_ms: 250, reclaims_max: 1 },
    ],
    within: within({ attempts: 2, reclaims: 1, mayPark: true }),
  },
  {
    name: 'retries',
    submissions: [
      { ...plain, retry: retry({ attempts: 2 }), deadline_ms: 3000, reclaims_max: 0 },
      {
        ...plain,
        retry: retry({ ...growing, jitter: true }),
        attempt_timeout_ms: 700,
        reclaims_max: 0,
      },
    ],
    within: within({ attempts: 3, reclaims: 1, retries: 2 }),
  },
  {
    name: 'gates',
    submissions: [
      { ...plain, delay_ms: 300, deadline_ms: 6000, retry: retry(), capabilities: 'gpu' },
    ],
    within: within({
      attempts: 1,
      retries: 1,
      mayPark: true,
      mayBlock: true,
      mayGrant: true,
    }),
  },
  {
    name: 'lanes',
    submissions: [{ ...plain, reclaims_max: 1 }],
    within: within({ attempts: 2, reclaims: 1, mayGrant: true, mayPause: true }),
  },
  {
    name: 'endings',
    submissions: [
      {
        ...plain,
        reclaims_max: 0,
        deadline_ms: 2500,
        key: 'k'.repeat(22),
        fingerprint: 'f'.repeat(22),
        tags: '{"tag":"value"}',
        tagged: 't'.repeat(44),
      },
    ],
    within: within({ attempts: 2, replays: 1, mayWatch: true }),
  },
  {
    name: 'streams',
    submissions: [
      { ...plain, reclaims_max: 1 },
      { ...plain, retry: retry({ attempts: 2 }), attempt_timeout_ms: 700, reclaims_max: 0 },
    ],
    within: (fields, lane) =>
      // Readers who wait for an open stream make no difference beyond the first attempt.
      within({ attempts: 2, reclaims: 1, retries: 1, mayStream: true })(fields, lane) &&
      (fields.tailed === undefined || fields.streamed === undefined || fields.attempt === 0),
  },
  {
    name: 'waits and their time',
    submissions: [{ ...plain, reclaims_max: 0 }],
    waits: 'behaviours',
    leavesOut: besideWaits,
    // What has been resumed is not followed further: the next projection does that.
    within: (fields, lane, keyspace) =>
      within({ attempts: 1, mayPark: true })(fields, lane) &&
      fields.ended_at === undefined &&
      (fields.state !== 'leased.held' || fields.settled === undefined) &&
      isWithinWaits(keyspace, {
        points: 1,
        signals: 2,
        mayResume: fields.state === 'leased.held' ? 'never' : 'by anyone',
      }),
  },
  {
    name: 'waits in any order',
    submissions: [{ ...plain, reclaims_max: 1 }],
    waits: 'orders',
    leavesOut: besideWaits,
    within: (fields, lane, keyspace) =>
      within({ attempts: 2, reclaims: 1, mayPark: true })(fields, lane) &&
      /^(runnable|leased\.(held|expired)|suspended)/.test(fields.state) &&
      // Either two waits of one attempt, or what is left of one in the next attempt.
      isWithinWaits(keyspace, {
        points: fields.attempt === 1 ? 1 : 2,
        signals: 1,
        mayResume: 'by signals',
      }),
  },
  {
    name: 'waits that end',
    submissions: [{ ...plain, reclaims_max: 1, deadline_ms: 700 }],
    waits: 'endings',
    leavesOut: besideEndings,
    within: (fields, lane, keyspace) =>
      within({ attempts: 1, mayPark: true })(fields, lane) &&
      isWithinWaits(keyspace, { points: 1, signals: 0, mayResume: 'never' }),
  },
  {
    name: 'progress',
    submissions: [{ ...plain, reclaims_max: 0 }],
    within: within({ attempts: 2, replays: 1, mayProgress: true }),
  },
]
