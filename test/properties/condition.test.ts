// Resume conditions mean what their definition says, in both languages and whatever is sent.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { bundleLua } from '../../scripts/bundle-lua.ts'
import { isEngineError } from '../../src/errors.ts'
import { counts } from '../../src/limits.ts'
import {
  compileCondition,
  type ResumeCondition,
  type SignalMatcher,
} from '../../src/persistence/condition.ts'
import { type ConditionNode, parseCondition } from '../../src/persistence/condition-node.ts'
import {
  isSatisfied,
  type OfferedSignal,
  offerSignal,
  tallyTokens,
} from '../../src/persistence/condition-offer.ts'
import { useServer } from '../support/valkey-server.ts'
import {
  effectOfLast,
  garbageFrom,
  holds,
  misshapen,
  type Posed,
  posed,
  signals,
} from './conditions.ts'

/** Fewer would not meet every verdict. */
const runs = Math.max(1000, Number(process.env.HOLDFAST_PROPERTY_RUNS ?? 1000))
/** A gate of a busy machine with two cores. */
const timeoutMs = Math.max(120_000, runs * 10)
const casesPerCall = 25

const texts = posed.map(({ condition, keys }) => compileCondition(condition, keys))

function read(text: string, points: number): ConditionNode {
  const node = parseCondition(text, points)
  if (typeof node === 'string') throw new Error(`${text}: ${node}`)
  return node
}

/** What each of the signals did, whether the condition held after it, and what it added. */
function offered(node: ConditionNode, list: readonly OfferedSignal[]): string[][] {
  const tokens = new Set<string>()
  return list.map((signal) => {
    const { effect, additions } = offerSignal(node, signal, tokens)
    for (const token of additions) tokens.add(token)
    const state = isSatisfied(node, tallyTokens(tokens)) ? 'holds' : 'waits'
    return [effect, state, ...additions]
  })
}

describe('A condition', { timeout: timeoutMs }, () => {
  it('holds after each signal when the definition says so, and from then on', () => {
    const property = fc.property(posed, signals, (at, list) => {
      const rows = offered(read(compileCondition(at.condition, at.keys), at.keys.length), list)
      for (const [position, [effect, state]] of rows.entries()) {
        const accepted = list.slice(0, position + 1)
        expect(effect).toBe(effectOfLast(at, accepted))
        expect(state).toBe(holds(at.condition, at, accepted) ? 'holds' : 'waits')
      }
      const states = rows.map(([, state]) => state)
      expect(states).toEqual(states.toSorted().toReversed())
    })
    fc.assert(property, { numRuns: runs })
  })

  it('is read back as it was written', () => {
    const property = fc.property(posed, ({ condition, keys }) => {
      const text = compileCondition(condition, keys)
      const back = written(read(text, keys.length), keys)
      expect(plain(back)).toEqual(plain(condition))
      expect(compileCondition(back, keys)).toBe(text)
    })
    fc.assert(property, { numRuns: runs })
  })

  it('is refused with a rule and never fails otherwise when a part of it is odd', () => {
    const property = fc.property(misshapen, (odd) => {
      try {
        compileCondition(odd as ResumeCondition, ['a', 'b', 'c', 'd'])
      } catch (error) {
        if (!isEngineError(error, 'invalid_resume_condition')) throw error
        expect(error.details).toMatchObject({ rule: expect.any(String), path: expect.any(String) })
      }
    })
    fc.assert(property, { numRuns: runs })
  })

  it('can be met, whatever text was accepted', () => {
    const points = fc.integer({ min: 1, max: 4 })
    let accepted = 0
    const property = fc.property(fc.oneof(texts, garbageFrom(texts)), points, (text, count) => {
      const node = parseCondition(text, count)
      if (typeof node === 'string' || node.kind === 'operator' || node.kind === 'timeout') return
      accepted += 1
      const witness = enough(node)
      expect(witness.length).toBeLessThanOrEqual(counts.conditionSignalsMax)
      expect(offered(node, witness).at(-1)?.[1]).toBe('holds')
    })
    fc.assert(property, { numRuns: runs })
    expect(accepted).toBeGreaterThan(runs / 10)
  })
})

describe.each(['valkey', 'redis'] as const)('Lua on %s', { timeout: timeoutMs }, (flavour) => {
  const at = useServer(flavour)
  const main = readFileSync(join(import.meta.dirname, '../support/condition.lua'), 'utf8')
  const library = bundleLua({ main })

  beforeAll(async () => {
    await at.redis.call('FUNCTION', 'LOAD', library.source)
  })

  interface Case {
    readonly text: string
    readonly points: number
    readonly signals: readonly OfferedSignal[]
  }

  async function expectSame(cases: readonly Case[]): Promise<string[]> {
    const expected = cases.map((item) => {
      const node = parseCondition(item.text, item.points)
      return typeof node === 'string' ? node : offered(node, item.signals)
    })
    const input = JSON.stringify(cases)
    const answers = await at.redis.call('FCALL', `${library.name}_conditions`, '0', input)
    expect(answers).toEqual(expected)
    return expected.map((answer) => (typeof answer === 'string' ? answer : 'accepted'))
  }

  it('decides as TypeScript does after each signal', async () => {
    const cases = fc.tuple(posed, signals).map(([{ condition, keys }, list]) => {
      return { text: compileCondition(condition, keys), points: keys.length, signals: list }
    })
    const batches = fc.array(cases, { minLength: casesPerCall, maxLength: casesPerCall })
    const property = fc.asyncProperty(batches, async (batch) => void (await expectSame(batch)))
    await fc.assert(property, { numRuns: Math.ceil(runs / casesPerCall) })
  })

  it('accepts and refuses what TypeScript does, for the same reason', async () => {
    const seen = new Set<string>()
    const points = fc.integer({ min: 1, max: 4 })
    const cases = fc.record({ text: garbageFrom(texts), points, signals })
    const batches = fc.array(cases, { minLength: casesPerCall, maxLength: casesPerCall })
    const property = fc.asyncProperty(batches, async (batch) => {
      const wellFormed = batch.filter(({ text }) => Buffer.from(text).toString() === text)
      for (const verdict of await expectSame(wellFormed)) seen.add(verdict)
    })
    await fc.assert(property, { numRuns: Math.ceil((4 * runs) / casesPerCall) })
    expect([...seen].toSorted()).toEqual([
      'accepted',
      'condition_depth_exceeded',
      'condition_size_exceeded',
      'count_exceeds_waitpoints',
      'count_zero',
      'duplicate_waitpoints',
      'empty_members',
      'empty_waitpoints',
      'invalid_correlation_id',
      'malformed',
      'misplaced_kind',
      'not_a_word',
      'reserved_word',
      'too_many_signals',
      'unknown_waitpoint',
    ])
  })
})

/** The condition as a caller would write it. */
function written(node: ConditionNode, keys: readonly string[]): ResumeCondition {
  const key = (point: number) => keys[point] as string
  switch (node.kind) {
    case 'single':
      return { kind: 'single', waitpoint: key(node.point), match: matcher(node.match) }
    case 'count': {
      const of = ({ w: 'waitpoints', s: 'signals', i: 'sources' } as const)[node.by]
      const waitpoints = [...node.listens].map(key)
      return { kind: 'count', count: node.count, of, waitpoints, match: matcher(node.match) }
    }
    case 'any':
    case 'all':
      return { kind: node.kind, of: node.members.map((member) => written(member, keys)) }
    default:
      return { kind: node.kind }
  }
}

function matcher({ correlation, ...rest }: Extract<ConditionNode, { match: object }>['match']) {
  const match: SignalMatcher = { ...rest, correlationId: correlation }
  return Object.values(match).every((value) => value === undefined) ? undefined : match
}

/** Without what says nothing: absent fields, and matchers without fields. */
function plain(condition: Posed['condition']): unknown {
  return JSON.parse(JSON.stringify(condition), (name, value: unknown) =>
    name === 'match' && JSON.stringify(value) === '{}' ? undefined : value,
  )
}

/** Signals that meet a condition leaf by leaf. */
function enough(node: ConditionNode): OfferedSignal[] {
  if (node.kind === 'operator' || node.kind === 'timeout') return []
  if ('members' in node) return node.members.flatMap(enough)
  const points = node.kind === 'single' ? [node.point] : [...node.listens]
  const { names, category = '', source = 'user', correlation = '' } = node.match
  return Array.from({ length: node.kind === 'single' ? 1 : node.count }, (_, position) => ({
    point: points[position % points.length] as number,
    id: `${node.path}-${position}`,
    name: names?.[0] ?? 'any',
    identity: `person ${position}`,
    ...{ category, source, correlation },
  }))
}
