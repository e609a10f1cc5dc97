// The server's code refuses the same arguments as the client's, to the last value.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bounds, bytesMax, choices, counts } from '../../../src/limits.ts'
import { checkArguments } from '../../../src/persistence/arguments.ts'
import type { OperationName } from '../../../src/persistence/contract.ts'
import { operationPlans } from '../../../src/persistence/generated/operations.ts'
import { encodeCall } from '../../../src/persistence/valkey/codec.ts'
import { fittingArguments } from '../../support/fitting-calls.ts'
import { Random } from '../../support/random.ts'
import { settableServerClock, startMs, testLibrary } from '../../support/settable-clock.ts'
import { useServer } from '../../support/valkey-server.ts'
import { type BatchOf, learnBatches } from '../../support/wire.ts'

const at = useServer()
const nobody = { id: `0-${'0'.repeat(26)}`, handle: undefined }
let batchOf: BatchOf

beforeAll(async () => {
  await settableServerClock([at.redis])
  batchOf = await learnBatches(at.server.url, testLibrary.name)
})
afterAll(async () => void (await at.redis.flushall()))

const sized = (...sizes: number[]) =>
  sizes.flatMap((size) => ['x'.repeat(size), 'ü'.repeat(size / 2)])
const list = (count: number, length = 1) => Array(count).fill('x'.repeat(length)).join(',')

const day = 86_400_000
const policies = [
  ...['1 fixed 1 1 1000 0 ', '10001 exponential 1 1 1000 1 tpioc', '0 fixed 1 1 1000 0 t'],
  ...['10002 fixed 1 1 1000 0 t', '2 fixed 0 1 1000 0 t', '2 fixed 1 0 1000 0 t'],
  ...[`2 fixed ${30 * day} 1 1000 0 t`, `2 fixed ${30 * day + 1} 1 1000 0 t`],
  ...[`2 fixed 1 ${30 * day} 1000 0 t`, `2 fixed 1 ${30 * day + 1} 1000 0 t`],
  ...['2 fixed 1 1 999 0 t', '2 fixed 1 1 100000 0 t', '2 fixed 1 1 100001 0 t'],
  ...[
    '2 linear 1 1 1000 0 t',
    '2 fixed 1 1 1000 2 t',
    '2 fixed 1 1 1000 0 x',
    '2 fixed 1 1 1000 0',
  ],
  ...['', '2', ' 2 fixed 1 1 1000 0 t', '2 fixed 1 1 1000 0 t ', '2  fixed 1 1 1000 0 t'],
  ...['-2 fixed 1 1 1000 0 t', '2 fixed 1.5 1 1000 0 t', '2 fixed 1e3 1 1000 0 t'],
  ...[64, 65].map((length) => '2 fixed 1 1 1000 0 t'.padStart(length, '0')),
]

const words = [
  '',
  'x',
  'a b',
  'a,b',
  'a|b',
  'a\nb',
  'a\u0000b',
  'a\u007f',
  '\u00a0',
  '{:}',
  '%s',
  'Ä',
]

const zeros = '0'.repeat(26)
const member = { id: zeros, lane: 'lane', task: 'task', input: Buffer.alloc(1), hold: false }
const edge = { upstream: zeros, downstream: zeros, kind: 'success' }
const join = { downstream: zeros, policy: 'all' }
/** Texts on both sides of the borders of lists of amounts and limits. */
const amountEdges = (() => {
  const most = Number.MAX_SAFE_INTEGER
  const many = (count: number, item: string) =>
    Array.from({ length: count }, (_, place) => `d${place} ${item}`).join(',')
  const named = ['a 1', 'a 1,a 1', 'a 1,b 2', `a ${most}`, `a ${most + 1}`, `a ${most},a 1`]
  return {
    amounts: [
      ...['', 'a', ' 1', 'a ', 'a  1', 'a 1 ', ' a 1', 'a 1 2', 'a 1,', ',a 1', 'a 1,,b 1', 'a -1'],
      ...['a 1.5', 'a 1e3', 'a 0x1', 'a +1', 'a 007', `a ${'0'.repeat(16)}`, `a ${'0'.repeat(17)}`],
      ...['a|b 1', 'ä 1', 'a\u0000b 1', 'a\tb 1', '__proto__ 1', 'a:b 1', ...named],
      ...[31, 32, 33].map((count) => many(count, '1')),
      ...[64, 65].map((length) => `${'x'.repeat(length)} 1`),
    ],
    dimension_limits: [
      ...[
        '',
        'a',
        'a 1',
        'a - -',
        'a 1 -',
        'a - 1',
        'a 1 1',
        'a 1 2',
        'a 2 1',
        'a 1 1 1',
        'a  1 1',
      ],
      ...['a - -,a - -', 'a - -,', ',a - -', 'a -- -', 'a 1.5 -', 'a - 1e3', 'a|b - -', 'ä - -'],
      ...[`a ${most} -`, `a ${most + 1} -`, `a - ${most + 1}`, '__proto__ - -', 'a 007 7', 'a x -'],
      ...[63, 64, 65].map((count) => many(count, '- -')),
      ...[64, 65].map((length) => `${'x'.repeat(length)} - -`),
    ],
    usage_result: [
      ...[
        '',
        'ok',
        'ok ',
        'ok 1',
        'OK',
        'fine',
        'soft_breach',
        'soft_breach a 1 2',
        'hard_breach a 1 2',
      ],
      ...[
        'soft_breach a 1 2 1',
        'hard_breach a 1 2 0',
        'hard_breach a 1 2 1',
        'hard_breach a 1 2 2',
      ],
      ...[
        'hard_breach a,b 1 2 1',
        'hard_breach a -1 2 1',
        'hard_breach a 1 x 1',
        'soft_breach a|b 1 2',
      ],
      ...[`soft_breach a ${most} 1`, `soft_breach a ${most + 1} 1`, 'hard_breach  1 2 1'],
      ...[64, 65].map((length) => `soft_breach ${'x'.repeat(length)} 1 1`),
    ],
  }
})()

const budgetIds = ['', 'b', 'B_.-9', 'a b', 'a:b', 'ü', '{b}', 'b'.repeat(64), 'b'.repeat(65)]

/** Values on both sides of every border that a type has. */
const edges: Readonly<Record<string, readonly unknown[]>> = {
  id: [
    '0'.repeat(25),
    '0'.repeat(26),
    '0'.repeat(27),
    ...[...'iloujkmnz_-'].map((c) => c.repeat(26)),
  ],
  digest: [
    'd'.repeat(21),
    'd'.repeat(22),
    'd'.repeat(23),
    ...[...'-_+=/ '].map((c) => c.repeat(22)),
  ],
  word: [...words, ...sized(64, 65, 66)],
  lease_stem: [...words, ...sized(60, 61, 62)],
  text: ['', 'a\u0000b', ...sized(2048, 2049, 2050)],
  tags: ['', ...sized(bytesMax.tags, bytesMax.tags + 1)],
  tag_digests: [
    ...['', 't'.repeat(43), 't'.repeat(44), 't'.repeat(45), `${'t'.repeat(43)}+`],
    ...[`${'t'.repeat(44)},`, `,${'t'.repeat(44)}`, list(1, 44), list(2, 44)],
    ...[list(counts.tagsMax, 44), list(counts.tagsMax + 1, 44)],
  ],
  leaves: ['', 'suspended', 'Suspended', 'active', 'suspended,', ',', 'leased.held,suspended'],
  input: [0, 1, bytesMax.input, bytesMax.input + 1].map((size) => Buffer.alloc(size)),
  failure: [0, 1, bytesMax.failure, bytesMax.failure + 1].map((size) => Buffer.alloc(size)),
  frame: [0, 1, bytesMax.frame, bytesMax.frame + 1].map((size) => Buffer.alloc(size)),
  document: [0, 1, bytesMax.summary, bytesMax.summary + 1].map((size) => Buffer.alloc(size)),
  frame_mode: ['', 'durable', 'live', 'summary', 'Live', 'live '],
  frame_encoding: ['', 'binary', 'utf8', 'json', 'UTF8', 'b'],
  flag: [true, false],
  class: ['', 'transient', 'Transient', 'transient ', 't', 'permanent,transient', 'cancelled'],
  lane_state: ['', 'active', 'closed', 'paused ', 'draining'],
  grant_of: ['', 'runnable', 'leased', 'held', 'leased '],
  kinds: ['', 'f', 'frc', 'cfr', 'ff', 'x', 'fx', 'F', 'f,r'],
  capabilities: [
    ...['', 'a', ',a', 'a,', 'a,,b', ',', 'a b', 'a|b', 'a,b c', 'a\u007f', 'a=1', 'ä,ö'],
    ...[list(256), list(257), list(1, 4096), list(1, 4097), list(64, 63), `${list(64, 63)}xx`],
  ],
  lanes: [
    ...['', 'a', ',a', 'a,', 'a,,b', ',', 'a b', 'a|b', 'a,b c'],
    ...[list(1, 64), list(1, 65), list(counts.lanesPerClaimMax, 64)],
    ...[list(counts.lanesPerClaimMax), list(counts.lanesPerClaimMax + 1)],
  ],
  retry: policies,
  points: [
    ...['', 'p', pointId('p'), `${pointId('p')},${pointId('q')}`, `${pointId('p')},`],
    ...[`${pointId('p')},${pointId('p')}`, `${pointId('p')} key k1`, `${pointId('p')} key`],
    ...[`${pointId('p')} key k.1`, `${pointId('p')} k|y k1`, `${pointId('p')} key k1 more`],
    ...[64, 65].map((count) => Array.from({ length: count }, (_, at) => pointId(at)).join(',')),
    ...[64, 65].map((length) => `${pointId('p')} ${'x'.repeat(length)} k1`),
    ...[32, 33].map((length) => `${pointId('p')} key ${'k'.repeat(length)}`),
  ],
  condition: ['', 's 0 *', ...sized(8192, 8193, 8194)],
  behaviour: ['', 'fail', 'Fail', 'fail ', 'escalate', 'auto_resume_with_signal'],
  waitpoint_scope: ['', 'attempt', 'run', 'run '],
  owed_row: ['', 'ask', 'ask 1 api - x:1', 'ask 1 api - x:1 ', 'ask 1 api x:1', 'ask  1 api - x:1'],
  kid: ['', 'k', 'K_-9', 'k.', 'k:', 'k ', 'ü', 'k'.repeat(32), 'k'.repeat(33)],
  secret: ['', 's'.repeat(42), 's'.repeat(43), 's'.repeat(171), 's'.repeat(172), '+'.repeat(43)],
  label: ['', 'a\u0000b', 'a b\u0000\n', ...sized(256, 257, 258)],
  signal_name: [...words, '_', '__', '__timeout', '_a', ...sized(64, 65, 66)],
  signal_source: [...words, 'engine', 'engine2', 'Engine', ...sized(64, 65, 66)],
  signal_category: [...words, 'timeout', 'timeouts', ...sized(64, 65, 66)],
  signal_payload: [0, 1, bytesMax.signalPayload, bytesMax.signalPayload + 1].map((size) =>
    Buffer.alloc(size),
  ),
  ids: ['', zeros, `${zeros},`, `${zeros},${zeros}`, 'x', list(256, 26), list(257, 26)],
  members: [
    ...[[], [member], [{ ...member, lane: 'a b' }], [{ ...member, priority: 9001 }]],
    ...[[{ ...member, id: 'x' }], [{ ...member, input: Buffer.alloc(bytesMax.input + 1) }]],
    ...[256, 257].map((count) => Array(count).fill(member)),
  ],
  edges: [
    ...[[], [edge], [{ ...edge, kind: 's' }], [{ ...edge, name: 'a b' }], [{ ...edge, name: 'a' }]],
    ...[1024, 1025].map((count) => Array(count).fill(edge)),
  ],
  joins: [
    ...[[], [join], [{ ...join, policy: 'most' }], [{ ...join, k: 1 }], [{ ...join, k: 0 }]],
    ...[[{ ...join, remaining: 'cancel' }], [{ ...join, remaining: '' }]],
    ...[256, 257].map((count) => Array(count).fill(join)),
  ],
  ...Object.fromEntries(
    Object.entries(choices).map(([kind, known]) => [kind, [...known, '', 'else', ' all']]),
  ),
  ...amountEdges,
  budget_id: budgetIds,
  budget_ids: [
    ...budgetIds,
    ...['a,b', 'a,', ',a', 'a,,b', 'a, b', list(8), list(9), list(8, 64), `${list(7, 64)},ü`],
  ],
  execution: [
    ...['', '0'.repeat(26), `0-${'0'.repeat(26)}`, `-${'0'.repeat(26)}`, `0-${'0'.repeat(25)}`],
    ...[`1023-${'0'.repeat(26)}`, `10230-${'0'.repeat(26)}`, `0-${'0'.repeat(27)}`],
    ...[
      `0--${'0'.repeat(25)}`,
      `x-${'0'.repeat(26)}`,
      `0-${'u'.repeat(26)}`,
      `00-${'0'.repeat(26)}`,
    ],
  ],
  hard_limit_action: ['', 'warn', 'fail', 'withhold', 'deny_children', 'Warn', 'warn ', 'suspend'],
  usage_mode: ['', 'record', 'enforce', 'Record', 'record ', 'r'],
}

function pointId(mark: unknown): string {
  return String(mark).padEnd(22, '-')
}

function edgesOf(type: string): readonly unknown[] {
  const known = edges[type]
  if (known !== undefined) return known
  const { min, max } = bounds[type as keyof typeof bounds]
  return [-1, min - 1, min, min + 1, max - 1, max, max + 1, Number.NaN, 1.5, '', ' 1']
}

const isRefused = (check: () => unknown) => {
  try {
    check()
    return false
  } catch {
    return true
  }
}

describe.each(Object.keys(operationPlans) as OperationName[])('%s', (name) => {
  const random = new Random(name)
  test.each(operationPlans[name].args)(
    'refuses the same values of $name as the client does',
    async ({ name: argument, type }) => {
      for (const value of edgesOf(type)) {
        // A year ahead is no border of the type: only the clock of the server knows it.
        if (argument === 'until_ms' && Number(value) > startMs) continue
        const args = { ...fittingArguments(random, [nobody], name), [argument]: value }
        const wire = batchOf('{hf:bounds:0}', encodeCall(name, args)) as string[]
        const [reply = []] = (await at.redis.call('FCALL', ...wire)) as string[][]
        const [outcome, code, , refusedArgument] = reply
        const isTold = outcome === 'refused' && code === 'invalid_input'
        const shown = `${argument} = ${String(value).slice(0, 100)} (${String(value).length})`
        expect(isTold && refusedArgument === argument, shown).toBe(
          isRefused(() => checkArguments(name, args)),
        )
      }
    },
  )
})
