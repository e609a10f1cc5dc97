// Random resume conditions as their stored text: every kind of node, nested, and broken ones.
import type { Choices } from '../choices.ts'

export const signalNames = ['go', 'stop'] as const
export const categories = ['custom', 'approval'] as const
/** Source and identity next to each other read alike for two of the senders. */
export const senders = [
  ['user', 'ann'],
  ['user', 'ben'],
  ['a:b', 'c'],
  ['a', 'b:c'],
  ['user', ''],
  ['ü', 'x|y,\u0000 ü'],
] as const
export const correlations = ['', '', 'c/1'] as const

const matchers = [
  ...['*', '*', '*', '*', 'n:go', 'n:go,stop', 'n:ü', 'c:approval'],
  ...['t:user', 'r:c%2F1', 'n:stop|c:custom', 'n:go|c:custom|t:user|r:c%2F1'],
]

const broken = [
  ...['nonsense', 's', 's 99 *', 's 0', 's 0 * *', 's  0 *', 's 0 x:y', 's 0 n:', 's 0 c:a|n:b'],
  ...['a 0', 'o 0', 'a 1 operator', 'a 2 s 0 *', 'c s 0 * 1 0', 'c s 1 * 0', 'c s 1 * 2 0 0'],
  ...['c w 2 * 1 0', 'c x 1 * 1 0', 's 0 r:%2f', 's 0 r:%C0%80', 'c s 6 * 1 0', 's 00 *'],
  'a 1 a 1 a 1 a 1 a 1 s 0 *',
]

/** How deep composites may stand in each other, and how many members they have. */
const depthMax = 4
const membersMax = 3

/** Of so many waitpoints, mostly one that signals can meet. */
export function someCondition(choices: Choices, points: number): string {
  switch (choices.below(20)) {
    case 16:
      return 'operator'
    case 17:
      return 'timeout'
    case 18:
      return choices.one(broken)
    default:
      return someNode(choices, points, 1)
  }
}

function someNode(choices: Choices, points: number, depth: number): string {
  const kinds = depth > depthMax ? ['s', 'c'] : ['s', 's', 's', 'c', 'c', 'a', 'a', 'o']
  const kind = choices.one(kinds)
  if (kind === 's') return `s ${choices.below(points)} ${choices.one(matchers)}`
  if (kind === 'c') return someCount(choices, points)
  const size = 1 + choices.below(membersMax)
  const members = Array.from({ length: size }, () => someNode(choices, points, depth + 1))
  return [kind, size, ...members].join(' ')
}

function someCount(choices: Choices, points: number): string {
  const by = choices.one(['w', 's', 'i'])
  const size = 1 + choices.below(points)
  const first = choices.below(points)
  const listens = Array.from({ length: size }, (_, at) => (first + at) % points)
  const most = by === 'w' ? size : 3
  return ['c', by, 1 + choices.below(most), choices.one(matchers), size, ...listens].join(' ')
}
