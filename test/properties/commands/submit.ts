// Random submissions: every option, keys that are used again, inputs of any bytes and length.
import type { Arguments } from '../../../src/persistence/contract.ts'
import { operationPlans } from '../../../src/persistence/generated/operations.ts'
import type { Choices } from '../choices.ts'
import { capabilities, lanes, type Step, type World } from '../world.ts'

export function digestOf(name: string): string {
  return name.padEnd(22, '_').slice(0, 22)
}

/** Every byte value occurs, and those that text handling likes to change come first. */
export function someBytes(choices: Choices, length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  let value = choices.below(256)
  const step = 1 + 2 * choices.below(64)
  for (let at = 0; at < length; at++) {
    bytes[at] = value
    value = (value + step) & 255
  }
  return bytes
}

const retries = [
  '3 fixed 10 10 1000 0 tpioc',
  '2 exponential 100 5000 2000 1 to',
  '10 exponential 7 2592000000 3333 1 tpioc',
  '5 exponential 1 1000 100000 0 i',
  '1 fixed 10 10 1000 0 t',
]

function timing(choices: Choices, nowMs: number) {
  const start = choices.below(6)
  const end = choices.below(12)
  return {
    not_before: start === 3 ? nowMs + choices.one([0, 1, 500, 100_000]) : undefined,
    delay_ms: start >= 4 ? choices.one([0, 1, 50, 3000]) : undefined,
    deadline_at: end === 7 ? nowMs + choices.one([1, 400, 60_000, 0]) : undefined,
    deadline_ms: end >= 9 ? choices.one([200, 5000, 1, 86_400_000]) : undefined,
    attempt_timeout_ms: choices.optional([1, 150, 5000], 4),
  }
}

function keyed(choices: Choices) {
  if (!choices.rarely(4)) return { key: undefined, fingerprint: undefined }
  return {
    key: digestOf(`key${choices.below(3)}`),
    fingerprint: choices.one([digestOf('f1'), digestOf('f1'), digestOf('f2'), undefined]),
  }
}

type Submission = Arguments<'execution.submit'>

/** Work with nothing but what all work has, and what is given. */
export function plainWork(id: string, given: Partial<Submission>): Submission {
  const none = Object.fromEntries(
    operationPlans['execution.submit'].args.map(({ name }) => [name, undefined]),
  )
  return { ...(none as unknown as Submission), lane: 'lane', task: 'task', id, ...given }
}

/** Digests of tags' names, and of names and values. */
export const tagPairs = [
  [digestOf('tag-a'), digestOf('a-1')],
  [digestOf('tag-a'), digestOf('a-2')],
  [digestOf('tag-b'), digestOf('b-1')],
] as const

const [a1, a2, b1] = tagPairs.map((pair) => pair.join('')) as [string, string, string]
const tagged = [a1, a2, `${a1},${b1}`]
export const limitNames = ['api', 'api', 'ü'] as const
export const shares = ['a', 'a', 'b', 'ü'] as const

export function submit(choices: Choices, world: World): Step[] {
  const known = world.ids
  const isAgain = known.length > 0 && choices.rarely(16)
  const id = isAgain ? choices.one(known) : world.freshId()
  const args: Submission = {
    id,
    lane: choices.one(lanes),
    task: choices.one(['task', 'aufgabe-ü']),
    ...timing(choices, world.nowMs),
    ...keyed(choices),
    priority: choices.optional([0, 1, 9000, 7], 4),
    retention_ms: choices.optional([0, 1, 1000, 3_153_600_000_000], 4),
    reclaims_max: choices.optional([0, 1, 2], 3),
    capabilities: choices.optional(capabilities.slice(1), 4),
    retry: choices.optional(retries, 2),
    limit: choices.optional(limitNames, 2),
    share: choices.optional(shares, 2),
    tags: choices.optional(['{}', '{"ü":"\u0000ÿ"}'], 4),
    tagged: choices.optional(tagged, 3),
    budgets: choices.optional(['b1', 'b1,b2', 'b3'], 2),
    input: someBytes(choices, choices.one([3, 0, 40, 1024, 1025, 3000])),
  }
  return [{ step: 'call', call: { name: 'execution.submit', args } }]
}
