// Every call that is performed from a state: each operation, each kind of stale proof.
import type { ExecutionFields } from '../../src/persistence/embedded/execution-fields.ts'
import type { Call } from './model.ts'
import type { Projection } from './projections.ts'
import { type Fence, fenceOf, fieldsOf, type State } from './states.ts'
import { executionId } from './subject.ts'
import { otherWaits, waitsFromOutside, waitsWith } from './wait-calls.ts'
import type { Waits } from './wait-states.ts'

const id = executionId
const digestOne = 'd'.repeat(22)
const digestTwo = 'e'.repeat(22)
const result = Buffer.from('result')
const failure = Buffer.from('{"message":"oops"}')

/** Nobody was ever given any of this; the epoch is greater than every one that was. */
const neverIssued: Fence = { attempt: 77, lease_id: 'never.1', epoch: 8_000_000_000_000_000 }

type Fields = Readonly<ExecutionFields>

function wholeFences(right: Fence | undefined, past: Fence | undefined): readonly Fence[] {
  return [right, past, neverIssued].filter((fence) => fence !== undefined)
}

/** Every combination of attempt, lease id and epoch, each right, stale or never issued. */
function fences(right: Fence | undefined, past: Fence | undefined): readonly Fence[] {
  const known = wholeFences(right, past)
  const parts = <Part extends keyof Fence>(part: Part) => [
    ...new Set(known.map((fence) => fence[part])),
  ]
  const combined: Fence[] = []
  for (const attempt of parts('attempt')) {
    for (const lease_id of parts('lease_id')) {
      for (const epoch of parts('epoch')) combined.push({ attempt, lease_id, epoch })
    }
  }
  return combined
}

function settles(fence: Fence, nowMs: number): readonly Call[] {
  const base = { id, ...fence, digest: digestOne }
  const failed = { ...base, class: 'transient' as const, failure, random_ppm: 250_000 }
  return [
    { name: 'lease.renew', args: { id, ...fence } },
    { name: 'lease.check', args: { id, ...fence } },
    { name: 'execution.progress', args: { id, ...fence, percent: 50, note: 'half' } },
    { name: 'execution.complete', args: { ...base, result } },
    { name: 'execution.fail', args: failed },
    { name: 'execution.cancel', args: { ...base, why: 'enough' } },
    { name: 'execution.delay', args: { ...base, until_ms: nowMs + 300 } },
  ]
}

/** What differs from the settle above in more than its fence. */
function otherSettles(fence: Fence, nowMs: number): readonly Call[] {
  const base = { id, ...fence, digest: digestTwo }
  const failed = { ...base, failure, random_ppm: 999_999 }
  return [
    { name: 'execution.progress', args: { id, ...fence, percent: 0, note: undefined } },
    { name: 'execution.progress', args: { id, ...fence, percent: undefined, note: 'ünï' } },
    { name: 'execution.complete', args: { ...base, result: undefined } },
    { name: 'execution.fail', args: { ...failed, class: 'permanent' } },
    { name: 'execution.fail', args: { ...failed, class: 'timeout' } },
    { name: 'execution.cancel', args: { ...base, why: '' } },
    { name: 'execution.delay', args: { ...base, until_ms: nowMs } },
    { name: 'execution.delay', args: { ...base, until_ms: nowMs + 1 } },
    { name: 'execution.delay', args: { ...base, until_ms: nowMs - 1 } },
    { name: 'execution.delay', args: { ...base, until_ms: nowMs + 31_622_400_001 } },
  ]
}

function stem(leaseId: string | undefined): string {
  return leaseId?.replace(/\.\d+$/, '') ?? 'never'
}

const frame = { id, type: 'log', correlation: undefined, payload: Buffer.from([0, 255]) }
const document = Buffer.from('{"a":1}')

function appends(fence: Fence): readonly Call[] {
  const append = { ...frame, ...fence, mode: 'durable', encoding: 'binary', seq: undefined }
  return [{ name: 'stream.append', args: append }]
}

/** What differs from the append above in more than its fence. */
function otherAppends(fence: Fence): readonly Call[] {
  const append = { ...frame, ...fence, mode: 'live', encoding: 'utf8', correlation: 'call' }
  const summary = { ...frame, ...fence, document }
  const numbers = [1, 2, 3]
  return [
    ...numbers.map((seq): Call => ({ name: 'stream.append', args: { ...append, seq } })),
    ...[0, 1].flatMap((base) =>
      [undefined, 1, 3].map(
        (seq): Call => ({ name: 'stream.summarize', args: { ...summary, base, seq } }),
      ),
    ),
  ]
}

function tails(f: Fields | undefined): readonly Call[] {
  const attempt = f?.attempt ?? 0
  const tail = { id, attempt, after: 0, count: 2, wait_ms: 600 }
  return [
    { name: 'stream.tail', args: tail },
    { name: 'stream.tail', args: { ...tail, attempt: attempt + 1 } },
    { name: 'stream.tail', args: { ...tail, after: 1, wait_ms: 0 } },
    { name: 'stream.read', args: { id, attempt, from: 1, to: undefined, count: 10 } },
    { name: 'stream.summary', args: { id, attempt } },
  ]
}

/** Lease ids to claim with: a new one, and those of the last two leases. */
function stems({ leases, past }: State, f: Fields | undefined): readonly string[] {
  return [...new Set([`lease${leases}`, stem(f?.lease_id), stem(past?.lease_id)])]
}

function claims(state: State, f: Fields | undefined): readonly Call[] {
  const base = { lanes: 'lane', capabilities: 'gpu', count: 1, worker: 'one', lease_ms: 1000 }
  const fresh = { ...base, lease_id: `lease${state.leases}`, kinds: 'frc', sleep_ms: undefined }
  const known = stems(state, f)
  const all = [
    ...known.map((lease_id) => ({ ...fresh, lease_id })),
    ...['f', 'r', 'c'].map((kinds) => ({ ...fresh, kinds })),
    { ...fresh, count: 2, worker: 'two', lanes: 'other,lane', lease_ms: 1200 },
    { ...fresh, capabilities: 'cpu,gpus' },
    { ...fresh, lanes: 'other' },
  ]
  return [
    ...all.map((args): Call => ({ name: 'lease.claim', args })),
    ...known.map((lease_id): Call => ({ name: 'lease.find', args: { lease_id, count: 2 } })),
  ]
}

function grants(state: State, f: Fields | undefined): readonly Call[] {
  const calls: Call[] = []
  for (const of of ['runnable', 'leased']) {
    for (const worker of ['one', 'two']) {
      const base = { id, of, worker, grant_id: `grant${state.leases}` }
      const grant = { ...base, grant_ms: 400, capabilities: 'cpu,gpu' }
      calls.push({ name: 'lease.grant', args: grant })
      if (worker === 'one') {
        calls.push({ name: 'lease.grant', args: { ...grant, capabilities: 'cpu' } })
      }
      for (const grant_id of new Set([f?.grant_id ?? 'none', 'none'])) {
        for (const lease_id of stems(state, f).slice(0, 2)) {
          const args = { id, of, worker, grant_id, lease_id, lease_ms: 1000 }
          calls.push({ name: 'lease.claim_granted', args })
        }
      }
    }
  }
  return calls
}

function fromOutside(f: Fields | undefined, past: Fence | undefined): readonly Call[] {
  const leases = new Set([undefined, f?.lease_id, past?.lease_id, 'never.1'])
  const reasons = [...new Set(['operator', 'budget', f?.block_reason ?? 'operator'])]
  const replays = [...new Set(['again', `again${f?.replays ?? 0}`, f?.replay_id ?? 'again'])]
  return [
    ...[...leases].map((lease_id): Call => ({ name: 'lease.revoke', args: { id, lease_id } })),
    ...reasons.flatMap((why): Call[] => [
      { name: 'execution.block', args: { id, why } },
      { name: 'execution.unblock', args: { id, why } },
    ]),
    ...replays.map(
      (replay_id): Call => ({ name: 'execution.replay', args: { id, replay_id, reopen: false } }),
    ),
    ...[0, 5].map((priority): Call => ({ name: 'execution.reprioritize', args: { id, priority } })),
    ...['active', 'paused', 'draining'].map(
      (state): Call => ({ name: 'lane.set_state', args: { lane: 'lane', state } }),
    ),
    { name: 'execution.cancel_by_operator', args: { id, why: 'enough' } },
    { name: 'execution.purge', args: { id } },
    { name: 'execution.watch', args: { id } },
    { name: 'partition.sweep', args: { count: 10 } },
  ]
}

function waiting(
  { keyspace, past }: State,
  right: Fence | undefined,
  nowMs: number,
  waits: Waits,
): readonly Call[] {
  const proofs = waits === 'endings' ? fences(right, past) : wholeFences(right, past)
  const known = [right, past].filter((fence) => fence !== undefined)
  return [
    ...waitsFromOutside(keyspace),
    ...proofs.flatMap((fence) => waitsWith(keyspace, fence)),
    ...known.flatMap((fence) => otherWaits(keyspace, fence, nowMs, waits)),
  ]
}

/** Every call to perform from a state at a time. */
export function callsFrom(
  state: State,
  nowMs: number,
  { submissions, waits, leavesOut }: Projection,
): readonly Call[] {
  const f = fieldsOf(state.keyspace)
  const right = fenceOf(f)
  const { past } = state
  // How settles look at their proofs is what the other projections are about.
  const proofs = waits === undefined ? fences(right, past) : wholeFences(right, past)
  const calls = [
    ...submissions.map((args): Call => ({ name: 'execution.submit', args })),
    ...claims(state, f),
    ...grants(state, f),
    ...fromOutside(f, past),
    ...tails(f),
    ...proofs.flatMap((fence) => [...settles(fence, nowMs), ...appends(fence)]),
    ...[right, past].flatMap((fence) =>
      fence === undefined ? [] : [...otherSettles(fence, nowMs), ...otherAppends(fence)],
    ),
    ...(f === undefined ? otherAppends(neverIssued) : []),
    ...(waits === undefined ? [] : waiting(state, right, nowMs, waits)),
  ]
  return leavesOut === undefined ? calls : calls.filter(({ name }) => !leavesOut.test(name))
}
