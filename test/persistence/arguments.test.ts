// The checks of arguments: the same words, bounds and names for every operation.
import { describe, expect, test } from 'vitest'
import { bounds, bytesMax, choices } from '../../src/limits.ts'
import {
  checkArguments,
  checkWhole,
  checkWord,
  checkWords,
  parseCursor,
} from '../../src/persistence/arguments.ts'
import type { OperationName } from '../../src/persistence/contract.ts'
import { operationPlans } from '../../src/persistence/generated/operations.ts'

const local = '01m83y6swf5ffkx83x1aj6g3gw'
const digest = 'a'.repeat(22)

/** One value of each declared type that fits. */
const fitting: Readonly<Record<string, unknown>> = {
  id: local,
  digest,
  kinds: 'frc',
  word: 'word',
  lease_stem: 'stem',
  text: 'text',
  tags: '{}',
  tag_digests: `${digest}${digest}`,
  leaves: 'runnable.ready,suspended',
  input: new Uint8Array(1),
  failure: new Uint8Array(1),
  frame: new Uint8Array(1),
  document: new Uint8Array(1),
  frame_mode: 'live',
  frame_encoding: 'utf8',
  flag: true,
  class: 'transient',
  lane_state: 'active',
  grant_of: 'runnable',
  capabilities: 'a,b',
  lanes: 'a,b',
  retry: '2 fixed 1 1 1000 0 t',
  points: `${digest} key k1`,
  condition: 's 0 *',
  behaviour: 'fail',
  waitpoint_scope: 'run',
  kid: 'k1',
  owed_row: 'check 1 api - x:1',
  secret: 's'.repeat(43),
  label: '',
  signal_name: 'approved',
  signal_source: 'webhook',
  signal_category: 'approval',
  signal_payload: new Uint8Array(1),
  ids: `${local},${local}`,
  members: [
    { id: local, lane: 'lane', task: 'task', input: new Uint8Array(1), hold: false, priority: 3 },
  ],
  edges: [{ upstream: local, downstream: local, kind: 'success', name: 'left' }],
  joins: [{ downstream: local, policy: 'quorum', k: 2, remaining: 'cancel' }],
  ...Object.fromEntries(Object.entries(choices).map(([kind, [word]]) => [kind, word])),
  budget_id: 'team.a_b-1',
  budget_ids: 'a,b',
  execution: `0-${local}`,
  amounts: 'tokens 5,cost:µ$ 0',
  dimension_limits: 'tokens 5 3,calls - -',
  hard_limit_action: 'withhold',
  usage_mode: 'enforce',
  usage_result: 'hard_breach tokens 9 5 0',
}

/** Values that do not fit, for each type; numbers come from their bounds. */
const wrong: Readonly<Record<string, readonly unknown[]>> = {
  id: ['', local.toUpperCase(), `${local}0`, `0-${local}`, 5],
  digest: ['', 'a'.repeat(21), 'a'.repeat(23), `${'a'.repeat(21)}+`, 5],
  kinds: ['', 'x', 'f r', 5],
  word: [
    '',
    'two words',
    'a,b',
    'a|b',
    'a\tb',
    'a\u0000',
    'a\u007f',
    'x'.repeat(65),
    'é'.repeat(33),
  ],
  lease_stem: ['', 'x'.repeat(61)],
  text: ['x'.repeat(2049), 'é'.repeat(1025), 5, null],
  tags: ['x'.repeat(16_385)],
  tag_digests: [
    ...['', digest, `${digest}${digest},`, `${digest}${digest} `, 5],
    Array(65).fill(`${digest}${digest}`).join(','),
  ],
  leaves: ['', 'active', 'suspended,', 'suspended, runnable.ready', 5],
  input: ['text', new Uint8Array(bytesMax.input + 1), new ArrayBuffer(1), []],
  failure: ['text', new Uint8Array(bytesMax.failure + 1)],
  frame: ['text', new Uint8Array(bytesMax.frame + 1)],
  document: ['text', new Uint8Array(bytesMax.summary + 1)],
  frame_mode: ['', 'summary'],
  frame_encoding: ['', 'base64'],
  flag: [0, 1, 'true', null],
  class: ['', 'bad luck', null],
  lane_state: ['', 'open'],
  grant_of: ['', 'suspended'],
  capabilities: ['a,', ',', 'a b', 'x'.repeat(4097), Array(257).fill('a').join(','), ['a']],
  lanes: ['', 'a,', 'a b', 'x'.repeat(65), Array(65).fill('a').join(','), ['a']],
  retry: ['', 'never', 5],
  points: ['', 'short', `${digest} key`, `${digest} k,y k1`, `${digest},${digest}`, 5],
  condition: ['', 'x'.repeat(8193), 5],
  behaviour: ['', 'resume', 5],
  waitpoint_scope: ['', 'execution'],
  kid: ['', 'a.b', 'a:b', 'k'.repeat(33), 5],
  owed_row: ['', 'check', 'check 1 api - x', `check 1 ${'x'.repeat(2048)} - x:1`, 5],
  secret: ['', 's'.repeat(42), 's'.repeat(172), `${'s'.repeat(43)}+`, 5],
  label: ['x'.repeat(257), 'é'.repeat(129), 5],
  signal_name: ['', '__timeout', 'two words', 5],
  signal_source: ['', 'engine', 'two words', 5],
  signal_category: ['', 'timeout', 'two words', 5],
  signal_payload: ['text', new Uint8Array(bytesMax.signalPayload + 1)],
  ids: ['', `${local},`, 'x', Array(257).fill(local).join(','), 5],
  members: ['text', 5, [{}], [{ id: local, lane: 'a b', task: 't', input: 'text', hold: 1 }]],
  edges: [{}, [{ upstream: local, downstream: local }], [{ upstream: 5 }], Array(1025).fill({})],
  joins: [[{ downstream: local, policy: 'most' }], [{ downstream: local, policy: 'all', k: 0 }]],
  ...Object.fromEntries(Object.keys(choices).map((kind) => [kind, ['', 'else', 5, null]])),
  budget_ids: ['', 'a,', 'a b', 'a,ü', Array(9).fill('a').join(','), 'x'.repeat(65)],
  budget_id: ['', 'a b', 'a:b', '{a}', 'ü', 'x'.repeat(65), 5],
  execution: ['', local, `-${local}`, `12345-${local}`, `0-${local}0`, `0-${local.toUpperCase()}`],
  amounts: ['', 'a', 'a 1.5', 'a -1', 'a 1,', ' 1', 'a 1 2', 'a|b 1', `a ${2 ** 53}`, 5],
  dimension_limits: ['a', 'a 1', 'a 1 2', 'a - -,a - -', 'a 1.5 -', 'a - x', 'a 1 - -', 5],
  hard_limit_action: ['', 'explode'],
  usage_mode: ['', 'forgive'],
  usage_result: ['', 'fine', 'ok 1', 'soft_breach a 1 2 1', 'hard_breach a 1 2', 5],
}

/** Kinds of arguments whose refusal has a code of its own. */
function codeFor(type: string, value: unknown): string {
  if (type === 'capabilities') return 'invalid_capabilities'
  const isLarge = type === 'signal_payload' && value instanceof Uint8Array
  return isLarge ? 'payload_too_large' : 'invalid_input'
}

function good(type: string): unknown {
  return type in bounds ? bounds[type as keyof typeof bounds].min : fitting[type]
}

function bad(type: string): readonly unknown[] {
  if (!(type in bounds)) return wrong[type] ?? []
  const { min, max } = bounds[type as keyof typeof bounds]
  return [min - 1, max + 1, min + 0.5, Number.NaN, String(min), null, BigInt(min), {}]
}

const operations = Object.keys(operationPlans) as OperationName[]
const allGood = (name: OperationName) =>
  Object.fromEntries(operationPlans[name].args.map((arg) => [arg.name, good(arg.type)]))

describe.each(operations)('%s', (name) => {
  const { args } = operationPlans[name]

  test('takes what fits, and only what may be absent may be absent', () => {
    checkArguments(name, allGood(name))
    for (const { name: argument, optional } of args) {
      const without = { ...allGood(name), [argument]: undefined }
      if (optional) checkArguments(name, without)
      else expect(() => checkArguments(name, without)).toThrow()
    }
  })

  test('refuses what does not fit, by its name', () => {
    for (const { name: argument, type } of args) {
      for (const value of bad(type)) {
        const given = { ...allGood(name), [argument]: value }
        expect(() => checkArguments(name, given), `${argument} ${String(value)}`).toThrow(
          expect.objectContaining({
            code: codeFor(type, value),
            details: expect.objectContaining({
              operation: name,
              argument: expect.stringMatching(/^[a-z][A-Za-z]*$/),
            }),
          }),
        )
      }
    }
  })
})

describe('the checks', () => {
  test('know every type that an operation declares', () => {
    const types = new Set(
      operations.flatMap((name) => operationPlans[name].args.map((a) => a.type)),
    )
    for (const type of types) {
      expect(good(type), type).toBeDefined()
      expect(bad(type), type).not.toEqual([])
    }
  })

  test('name an argument as its caller knows it', () => {
    const wrongly = (name: OperationName, argument: string) => {
      try {
        checkArguments(name, { ...allGood(name), [argument]: {} })
      } catch (error) {
        return (error as { details: { argument: string } }).details.argument
      }
      return undefined
    }
    expect(wrongly('execution.progress', 'note')).toBe('message')
    expect(wrongly('execution.complete', 'result')).toBe('payload')
    expect(wrongly('execution.cancel', 'why')).toBe('reason')
    expect(wrongly('execution.submit', 'not_before')).toBe('startAtMs')
    expect(wrongly('lease.revoke', 'lease_id')).toBe('expectedLeaseId')
    expect(wrongly('lease.claim', 'lease_ms')).toBe('leaseMs')
  })

  test('take a word of any script by its bytes', () => {
    for (const word of ['a', 'x'.repeat(64), 'é'.repeat(32), '任务', '!"#$%&', 'a.b/c:d@e']) {
      checkWord('name', word)
    }
    for (const word of ['', ' ', 'a b', 'a\n', 'x'.repeat(65), 'é'.repeat(33), 5, undefined]) {
      expect(() => checkWord('name', word)).toThrow(
        expect.objectContaining({ details: expect.objectContaining({ argument: 'name' }) }),
      )
    }
  })

  test('take a list that names something, and every name of which fits', () => {
    const short = (word: string) => word.length < 3
    checkWords('kinds', ['a', 'bb'], short)
    expect(() => checkWords('kinds', [], short)).toThrow(/names nothing/)
    expect(() => checkWords('kinds', ['a', 'bbb'], short)).toThrow(/bbb/)
  })

  test('take whole numbers from the least to the most', () => {
    for (const value of [1, 2, 3]) checkWhole('count', value, { min: 1, max: 3 })
    for (const value of [0, 4, 1.5, Number.NaN, '2' as unknown as number]) {
      expect(() => checkWhole('count', value, { min: 1, max: 3 })).toThrow(
        expect.objectContaining({ details: { argument: 'count', given: value } }),
      )
    }
  })

  test('refuse a cursor under that name', () => {
    expect(parseCursor(`3-${local}`)).toBe(local)
    expect(() => parseCursor('x')).toThrow(
      expect.objectContaining({ code: 'invalid_input', details: { argument: 'cursor' } }),
    )
  })
})
