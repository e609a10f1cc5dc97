// Resume conditions: the text they become, what is refused, and what signals contribute.
import { describe, expect, it } from 'vitest'
import { isEngineError } from '../../src/errors.ts'
import { compileCondition, type ResumeCondition } from '../../src/persistence/condition.ts'
import { type ConditionNode, parseCondition } from '../../src/persistence/condition-node.ts'
import {
  isSatisfied,
  type OfferedSignal,
  offerSignal,
  tallyTokens,
} from '../../src/persistence/condition-offer.ts'

const single: ResumeCondition = { kind: 'single', waitpoint: 'a' }
const nest = (depth: number, leaf: ResumeCondition = single): ResumeCondition =>
  depth === 0 ? leaf : { kind: 'all', of: [nest(depth - 1, leaf)] }

function read(text: string, points: number): ConditionNode {
  const node = parseCondition(text, points)
  if (typeof node === 'string') throw new Error(node)
  return node
}

const bare: OfferedSignal = {
  ...{ point: 0, id: 'id', name: 'go', category: '', source: '', identity: '', correlation: '' },
}

/** Offers signals one after the other; what each did, and whether the condition held after it. */
function run(text: string, points: number, signals: readonly Partial<OfferedSignal>[]): string[] {
  const node = read(text, points)
  const tokens = new Set<string>()
  return signals.map((signal, position) => {
    const { effect, additions } = offerSignal(
      node,
      { ...bare, id: `${position}`, ...signal },
      tokens,
    )
    for (const token of additions) tokens.add(token)
    return isSatisfied(node, tallyTokens(tokens)) ? `${effect}!` : effect
  })
}

describe('A resume condition is stored as', () => {
  const many = { kind: 'count', count: 2, waitpoints: ['a', 'b'] } as const
  const match = { names: ['yes', 'no', 'yes'], category: 'c', source: 's', correlationId: 'ü 1' }
  it.each<[ResumeCondition, string]>([
    [{ kind: 'operator' }, 'operator'],
    [{ kind: 'timeout' }, 'timeout'],
    [{ kind: 'all', of: [single, { kind: 'single', waitpoint: 'b' }] }, 'a 2 s 0 * s 1 *'],
    [{ kind: 'any', of: [{ kind: 'single', waitpoint: 'b' }, single] }, 'o 2 s 1 * s 0 *'],
    [{ ...many, of: 'waitpoints' }, 'c w 2 * 2 0 1'],
    [{ ...many, of: 'signals', match: {} }, 'c s 2 * 2 0 1'],
    [{ ...many, of: 'sources', match }, 'c i 2 n:yes,no|c:c|t:s|r:%C3%BC%201 2 0 1'],
  ])('%j', (condition, text) => {
    expect(compileCondition(condition, text.includes('1') ? ['a', 'b'] : [])).toBe(text)
  })
})

describe('A resume condition is refused', () => {
  const all = (...of: unknown[]) => ({ kind: 'all', of })
  const count = (given: object) => ({
    ...{ kind: 'count', count: 1, of: 'signals', waitpoints: ['a', 'b'] },
    ...given,
  })
  const matching = (match: unknown) => all(single, { kind: 'single', waitpoint: 'b', match })
  const wide = Array.from({ length: 200 }, () => single)
  const wordy = { kind: 'single', waitpoint: 'b', match: { names: ['x'.repeat(40)] } }
  it.each<[string, string, unknown]>([
    ['empty_members', 'of', all()],
    ['empty_members', 'of[1].of', all(single, { kind: 'any', of: [] })],
    ['not_a_list', 'of', { kind: 'all', of: single }],
    ['count_zero', 'count', count({ count: 0 })],
    ['count_not_whole', 'count', count({ count: 1.5 })],
    ['count_not_whole', 'count', count({ count: -1 })],
    ['count_not_whole', 'count', count({ count: '1' })],
    ['empty_waitpoints', 'waitpoints', count({ waitpoints: [] })],
    ['duplicate_waitpoints', 'waitpoints', count({ waitpoints: ['a', 'b', 'a'] })],
    ['count_exceeds_waitpoints', 'of[0].count', all(count({ count: 3, of: 'waitpoints' }))],
    ['unknown_count', 'of', count({ of: 'people' })],
    ['too_many_signals', 'count', count({ count: 1001 })],
    ['too_many_signals', '', all(count({ count: 600 }), count({ count: 600 }))],
    ['condition_depth_exceeded', 'of[0].of[0].of[0].of[0]', nest(5)],
    ['condition_size_exceeded', '', all(...wide.flatMap((leaf) => [leaf, wordy]))],
    ['unknown_waitpoint', 'of[0].waitpoint', all({ kind: 'single', waitpoint: 'c' })],
    ['unknown_waitpoint', 'waitpoints[1]', count({ waitpoints: ['a', 'A'] })],
    ['waitpoint_not_referenced', '', single],
    ['misplaced_kind', 'of[1]', all(single, { kind: 'operator' })],
    ['misplaced_kind', 'of[1].of[0]', all(single, { kind: 'any', of: [{ kind: 'timeout' }] })],
    ['empty_name', 'of[1].match.names[1]', matching({ names: ['x', ''] })],
    ['empty_names', 'of[1].match.names', matching({ names: [] })],
    ['not_a_list', 'of[1].match.names', matching({ names: 'x' })],
    ['not_a_word', 'of[1].match.names[0]', matching({ names: ['x y'] })],
    ['not_a_word', 'of[1].match.names[0]', matching({ names: ['x,y'] })],
    ['not_a_word', 'of[1].match.names[0]', matching({ names: ['x'.repeat(65)] })],
    ['not_a_word', 'of[1].match.names[0]', matching({ names: ['\ud800'] })],
    ['reserved_word', 'of[1].match.names[1]', matching({ names: ['x', '__x'] })],
    ['reserved_word', 'of[1].match.category', matching({ category: 'timeout' })],
    ['reserved_word', 'of[1].match.source', matching({ source: 'engine' })],
    ['not_a_word', 'of[1].match.category', matching({ category: 'a|b' })],
    ['not_a_word', 'of[1].match.source', matching({ source: 7 })],
    ['invalid_correlation_id', 'of[1].match.correlationId', matching({ correlationId: '' })],
    [
      'invalid_correlation_id',
      'of[1].match.correlationId',
      matching({ correlationId: 'ü'.repeat(129) }),
    ],
    ['invalid_correlation_id', 'of[1].match.correlationId', matching({ correlationId: '\udc00' })],
    ['unknown_field', 'of[1].match', matching({ name: 'approved' })],
    ['unknown_field', 'of[0]', all({ ...single, macth: {} })],
    ['unknown_kind', 'of[1].match', matching('approved')],
    ['unknown_kind', '', { kind: 'quorum' }],
    ['unknown_kind', '', { kind: Object.create(null) }],
    ['unknown_kind', '', undefined],
    ['unknown_kind', 'of[0]', all(null)],
  ])('%s at "%s"', (rule, path, condition) => {
    try {
      compileCondition(condition as ResumeCondition, ['a', 'b'])
    } catch (error) {
      if (!isEngineError(error, 'invalid_resume_condition')) throw error
      expect(error.details).toMatchObject({ rule, path })
      expect(error.message).toContain(rule)
      return
    }
    expect.unreachable('it was accepted')
  })

  it('when two waitpoints have one key', () => {
    expect(() => compileCondition(single, ['a', 'a'])).toThrow(/duplicate_keys/)
  })

  it('when it never ends, without looking for its end', () => {
    const circle: { kind: 'all'; of: ResumeCondition[] } = { kind: 'all', of: [single] }
    circle.of.push(circle)
    expect(() => compileCondition(circle, ['a'])).toThrow(/condition_depth_exceeded/)
  })
})

describe('A resume condition is accepted', () => {
  it('four deep', () => {
    expect(compileCondition(nest(4), ['a'])).toBe('a 1 a 1 a 1 a 1 s 0 *')
    expect(run('a 1 a 1 a 1 a 1 s 0 *', 1, [{}])).toEqual(['new!'])
  })

  it('up to its last byte', () => {
    const named = (length: number): ResumeCondition => ({
      kind: 'any',
      of: Array.from({ length: 128 }, (_, position) => ({
        kind: 'single',
        waitpoint: 'a',
        // `o 128` is 5 bytes, each ` s 0 n:…` 7 and its name.
        match: { names: ['x'.repeat(position === 0 ? length : 57)] },
      })),
    })
    expect(compileCondition(named(52), ['a'])).toHaveLength(8192)
    expect(() => compileCondition(named(53), ['a'])).toThrow(/condition_size_exceeded/)
  })

  it('with waitpoints of which it uses none, when no signal is to resume the execution', () => {
    expect(compileCondition({ kind: 'operator' }, ['a'])).toBe('operator')
  })
})

describe('A signal', () => {
  it('meets a single once', () => {
    expect(run('s 0 *', 2, [{ point: 1 }, {}, {}])).toEqual(['none', 'new!', 'dup!'])
  })

  it('counts only where every field that is asked for fits', () => {
    const text = 's 0 n:yes,no|c:approval|t:operator|r:order%201'
    const fits = { name: 'no', category: 'approval', source: 'operator', correlation: 'order 1' }
    const misfits = Object.keys(fits).map((field) => ({ ...fits, [field]: 'other' }))
    expect(run(text, 1, [...misfits, fits])).toEqual([...Array(4).fill('mismatch'), 'new!'])
  })

  it('counts wherever it fits', () => {
    expect(run('a 2 s 0 * s 0 n:go', 1, [{ name: 'x' }, {}])).toEqual(['new', 'new!'])
  })

  it('meets neither an operator condition nor a timeout, whatever its name', () => {
    expect(run('operator', 1, [{ name: '__operator_only__' }])).toEqual(['none'])
    expect(run('timeout', 1, [{ name: '__timeout_only__' }])).toEqual(['none'])
  })

  it('is one of those from distinct waitpoints', () => {
    const points = [0, 0, 1].map((point) => ({ point }))
    expect(run('c w 2 * 2 0 1', 2, points)).toEqual(['new', 'dup', 'new!'])
  })

  it('is one of the distinct signals', () => {
    const ids = ['a', 'a', 'b'].map((id) => ({ id }))
    expect(run('c s 2 * 1 0', 1, ids)).toEqual(['new', 'dup', 'new!'])
  })

  it('is from one of the distinct sources, if its sender has a name', () => {
    const senders = [
      { source: 'user', identity: '' },
      { source: 'user', identity: 'alice' },
      { source: 'user', identity: 'alice' },
      { source: 'use', identity: 'ralice' },
    ]
    expect(run('c i 2 * 1 0', 1, senders)).toEqual(['mismatch', 'new', 'dup', 'new!'])
  })
})

it('Two counts do not feed each other: two of legal and two of finance are four', () => {
  const two = (name: string): ResumeCondition => ({
    ...{ kind: 'count', count: 2, of: 'sources', waitpoints: ['a'], match: { names: [name] } },
  })
  const text = compileCondition({ kind: 'all', of: [two('legal'), two('finance')] }, ['a'])
  const by = (name: string, identity: string) => ({ name, identity })
  const signals = [by('legal', 'a'), by('legal', 'b'), by('finance', 'a'), by('finance', 'b')]
  expect(run(text, 1, signals)).toEqual(['new', 'new', 'new', 'new!'])
})
