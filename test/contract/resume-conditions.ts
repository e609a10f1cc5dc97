// Resume conditions in the store: which signals end which wait, and which never do.
import { describe, expect, it } from 'vitest'
import type { ExecutionId } from '../../src/ids.ts'
import type {
  ResumeCondition,
  SignalDelivery,
  WaitpointSpec,
} from '../../src/persistence/backend-suspension.ts'
import type { Open } from '../support/backends.ts'
import { claimOne, refusedWithoutTrace, stateOf, submitAndClaim } from '../support/executions.ts'
import { approval, idOf, openSigning, send, suspended } from '../support/suspensions.ts'

/** Name of the waitpoint, then what its signal says. */
type Step = readonly [waitpoint: string, signal: Omit<SignalDelivery, 'token'>, effect: string]

const met = 'resume_condition_satisfied'
const more = 'appended_to_waitpoint'
const same = 'appended_to_waitpoint_duplicate'
const wrong = 'signal_ignored_matcher_failed'
const deaf = 'signal_ignored_not_in_condition'

const single = (waitpoint: string, name?: string): ResumeCondition => ({
  kind: 'single',
  waitpoint,
  match: name === undefined ? undefined : { names: [name] },
})
const all = (...of: ResumeCondition[]): ResumeCondition => ({ kind: 'all', of })
const any = (...of: ResumeCondition[]): ResumeCondition => ({ kind: 'any', of })
const count = (
  number: number,
  of: 'waitpoints' | 'signals' | 'sources',
  waitpoints: readonly string[],
  name?: string,
): ResumeCondition => ({
  kind: 'count',
  count: number,
  of,
  waitpoints,
  match: name === undefined ? undefined : { names: [name] },
})
const nested = (depth: number): ResumeCondition =>
  depth === 0 ? single('a') : all(nested(depth - 1))
const by = (identity: string, name?: string) => ({ identity, name })

const cases: readonly (readonly [string, ResumeCondition, readonly Step[]])[] = [
  ['one signal of any name', single('a'), [['a', {}, met]]],
  [
    'one of several names (S-W22)',
    { kind: 'single', waitpoint: 'a', match: { names: ['approved', 'rejected'] } },
    [
      ['a', { name: 'maybe' }, wrong],
      ['a', { name: 'rejected' }, met],
    ],
  ],
  [
    'category, source and correlation together (S-W22)',
    {
      kind: 'single',
      waitpoint: 'a',
      match: { category: 'approval', source: 'operator', correlationId: 'o 1%' },
    },
    [
      ['a', { category: 'approval', source: 'operator' }, wrong],
      ['a', { category: 'approval', correlationId: 'o 1%' }, wrong],
      ['a', { source: 'operator', correlationId: 'o 1%' }, wrong],
      ['a', { category: 'approval', source: 'operator', correlationId: 'o 1%' }, met],
    ],
  ],
  ['any of two waitpoints (S-W22)', any(single('a'), single('b')), [['b', {}, met]]],
  [
    'all of two waitpoints, in either order',
    all(single('a'), single('b')),
    [
      ['b', {}, more],
      ['b', {}, same],
      ['a', {}, met],
    ],
  ],
  [
    'one signal for several leaves',
    all(single('a', 'yes'), single('a')),
    [
      ['a', { name: 'no' }, more],
      ['a', { name: 'yes' }, met],
    ],
  ],
  [
    'counts that do not feed each other (S-W8, S-C7)',
    all(count(2, 'signals', ['a'], 'legal'), count(2, 'signals', ['a'], 'finance')),
    [
      ['a', { name: 'legal' }, more],
      ['a', { name: 'legal' }, more],
      ['a', { name: 'legal' }, more],
      ['a', { name: 'other' }, wrong],
      ['a', { name: 'finance' }, more],
      ['a', { name: 'finance' }, met],
    ],
  ],
  [
    'a count deep inside (S-W8)',
    all(all(any(count(2, 'waitpoints', ['a', 'b'])))),
    [
      ['a', {}, more],
      ['a', {}, same],
      ['b', {}, met],
    ],
  ],
  ['four composites deep (S-C8)', nested(4), [['a', {}, met]]],
  [
    'different senders, as the same sender is one (S-W24)',
    count(2, 'sources', ['a', 'b']),
    [
      ['a', by('ann'), more],
      ['b', by('ann'), same],
      ['a', { identity: 'ann', source: 'operator' }, met],
    ],
  ],
  [
    'different senders, as nobody is none (S-W24)',
    count(2, 'sources', ['a']),
    [
      ['a', {}, wrong],
      ['a', {}, wrong],
      ['a', by('ann'), more],
      ['a', { source: 'a:b', identity: 'c' }, met],
    ],
  ],
  [
    'senders whose names run together',
    count(3, 'sources', ['a']),
    [
      ['a', { source: 'a:b', identity: 'c' }, more],
      ['a', { source: 'a', identity: 'b:c' }, more],
      ['a', { source: '3:a', identity: 'b:c' }, met],
    ],
  ],
  [
    'three signals at one waitpoint, each counted once',
    count(3, 'signals', ['a']),
    [
      ['a', { signalId: idOf('one') }, more],
      ['a', {}, more],
      ['a', {}, met],
    ],
  ],
]

const refused: readonly (readonly [string, unknown, string])[] = [
  ['all of nothing', all(), 'empty_members'],
  ['any of nothing', any(), 'empty_members'],
  ['no signal at all', count(0, 'signals', ['a', 'b']), 'count_zero'],
  ['a part of a signal', count(1.5, 'signals', ['a', 'b']), 'count_not_whole'],
  ['counts on nothing', count(1, 'signals', []), 'empty_waitpoints'],
  [
    'more waitpoints than there are',
    count(3, 'waitpoints', ['a', 'b']),
    'count_exceeds_waitpoints',
  ],
  ['more signals than are ever taken', count(1001, 'signals', ['a', 'b']), 'too_many_signals'],
  ['five composites deep (S-C8)', nested(5), 'condition_depth_exceeded'],
  ['an unknown waitpoint (S-W9)', single('c'), 'unknown_waitpoint'],
  ['not all of its waitpoints (S-W9)', single('a'), 'waitpoint_not_referenced'],
  ['an empty name', { kind: 'single', waitpoint: 'a', match: { names: [''] } }, 'empty_name'],
  ['no name', { kind: 'single', waitpoint: 'a', match: { names: [] } }, 'empty_names'],
  ['an operator inside', all(single('a'), single('b'), { kind: 'operator' }), 'misplaced_kind'],
  ['a timeout inside', any(single('a'), single('b'), { kind: 'timeout' }), 'misplaced_kind'],
  ['an unknown kind (S-W9)', { kind: 'quorum', of: [] }, 'unknown_kind'],
  ['a field that nobody reads', { kind: 'single', waitpoint: 'a', v: 2 }, 'unknown_field'],
  ['nothing', null, 'unknown_kind'],
  [
    'more than 8 KiB (S-W9)',
    all(single('b'), ...Array.from({ length: 130 }, (_, at) => single('a', `${at}`.padStart(64)))),
    'not_a_word',
  ],
  [
    'more than 8 KiB of words (S-W9)',
    all(
      single('b'),
      ...Array.from({ length: 130 }, (_, at) => single('a', `${at}`.padStart(64, 'x'))),
    ),
    'condition_size_exceeded',
  ],
]

export function describeResumeConditions(open: Open): void {
  describe('a condition is met by', () => {
    it.each(cases)('%s', async (_what, condition, steps) => {
      const opened = await openSigning(open)
      const keys = ['a', 'b'].filter((key) => JSON.stringify(condition).includes(`"${key}"`))
      const waitpoints = keys.map((key): WaitpointSpec => ({ key }))
      const { id, waitpoints: issued } = await suspended(opened, { waitpoints, condition })
      const effects: string[] = []
      for (const [key, signal] of steps) {
        expect(await stateOf(opened.backend, id)).toBe('suspended')
        effects.push(await send(opened, issued[keys.indexOf(key)]!.token, signal))
      }
      expect(effects).toEqual(steps.map(([, , effect]) => effect))
      expect(await stateOf(opened.backend, id)).toBe('runnable.resumed')
      const { handle } = await claimOne(opened.backend)
      const observed = await opened.backend.observeSignals(handle)
      const counted = effects.flatMap((effect, at) =>
        effect === met || effect === more ? [at + 1] : [],
      )
      expect(observed.map(({ position }) => position)).toEqual(counted)
    })

    it('signals of each waitpoint that has a match of its own', async () => {
      const opened = await openSigning(open)
      const { waitpoints } = await suspended(opened, {
        waitpoints: [
          { key: 'a', match: { names: ['yes'] } },
          { key: 'b', match: { source: 'operator' } },
        ],
      })
      expect(await send(opened, waitpoints[0]!.token, { source: 'operator' })).toBe(wrong)
      expect(await send(opened, waitpoints[1]!.token, { name: 'yes' })).toBe(wrong)
      expect(await send(opened, waitpoints[1]!.token, { source: 'operator' })).toBe(met)
    })

    it.each(['operator', 'timeout'] as const)('no signal: %s (S-W8, S-C6)', async (kind) => {
      const opened = await openSigning(open)
      const { backend, clock } = opened
      const { id, token } = await suspended(opened, {
        condition: { kind },
        timeoutMs: 60_000,
        onTimeout: 'auto_resume',
      })
      for (const name of ['operator', 'timeout', 'operator_only', '_operator_only__', 'approval']) {
        expect(await send(opened, token, { name, source: 'operator' })).toBe(deaf)
      }
      const isSuspended = async (execution: ExecutionId) =>
        expect(await stateOf(backend, execution)).toBe('suspended')
      await isSuspended(id)
      for (const name of ['__operator_only__', '__timeout_only__']) {
        const call = () => backend.deliverSignal({ token, name })
        await refusedWithoutTrace(opened, call, 'invalid_input')
      }
      await isSuspended(id)
      await clock.advance(60_000)
      expect(await claimOne(backend)).toMatchObject({ executionId: id, attempt: 0 })
    })
  })

  describe('a condition is refused, and nothing is written, when it asks for', () => {
    it.each(refused)('%s', async (_what, condition, rule) => {
      const opened = await openSigning(open)
      const { handle } = await submitAndClaim(opened.backend)
      const specs = [{ key: 'a' }, { key: 'b' }]
      const call = () =>
        opened.backend.suspend(handle, specs, { condition: condition as ResumeCondition })
      await refusedWithoutTrace(opened, call, 'invalid_resume_condition', { rule })
      expect(await opened.backend.renew(handle)).toBeDefined()
    })

    it.each([
      ['an unknown letter', 'z 0 *'],
      ['a version of another engine', '{"v":2}'],
      ['a waitpoint that the suspension has not', 's 1 *'],
      ['something after its end', 's 0 * s'],
      ['an operator inside', 'a 1 operator'],
      ['five composites', 'a 1 a 1 a 1 a 1 a 1 s 0 *'],
      ['more than can be', 'c w 2 * 1 0'],
    ])('what no client writes: %s (S-W9, S-W13)', async (_what, condition) => {
      const opened = await openSigning(open)
      const { backend, store } = opened
      await suspended(opened, { submission: { lane: 'other' } })
      const { args } = store.calls.findLast(({ name }) => name === 'execution.suspend')!
      const claimed = await submitAndClaim(backend)
      const [, id = '', , leaseId, epoch] = claimed.handle.opaque.split('|')
      const [partition, local] = id.split('-')
      const asked = { ...args, id: local, lease_id: leaseId, epoch: Number(epoch), condition }
      const before = await opened.dump()
      expect(
        await store.call(Number(partition), 'execution.suspend', asked as never),
      ).toMatchObject({ outcome: 'refused', code: 'invalid_resume_condition' })
      expect(await opened.dump()).toEqual(before)
      await backend.suspend(claimed.handle, approval)
    })
  })
}
