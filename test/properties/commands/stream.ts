// Random frames, documents and readers of streams.
import type { Choices } from '../choices.ts'
import type { Call, Fence, Step, World } from '../world.ts'
import { someBytes } from './submit.ts'

const one = (call: Call): Step[] => [{ step: 'call', call }]

/** How many frames the stream of that attempt has had, as far as the answers told. */
function framesOf(world: World, { id, attempt }: Pick<Fence, 'id' | 'attempt'>): number {
  return world.frames.get(`${id}:${attempt}`)?.count ?? 0
}

/** No number, the next one, one that is taken, or one too far. */
function someSeq(choices: Choices, last: number): number | undefined {
  const next = last + 1
  const old = Math.max(1, last - choices.below(3))
  return choices.one([undefined, undefined, next, next, next, old, next + 1])
}

function frameArguments(choices: Choices, world: World, fence: Fence) {
  return {
    ...fence,
    type: choices.one(['token', 'log', 'größe']),
    correlation: choices.optional(['', 'call-1', 'a b\n\u0000ü'], 3),
    seq: someSeq(choices, framesOf(world, fence)),
    payload: someBytes(choices, choices.one([3, 0, 70, 700])),
  }
}

/** One frame, or several in a row as tasks emit them. */
export function append(choices: Choices, world: World): Step[] {
  const fence = world.someFence(choices)
  const args = {
    ...frameArguments(choices, world, fence),
    mode: choices.one(['durable', 'durable', 'live']),
    encoding: choices.one(['binary', 'utf8', 'json']),
  }
  const count = choices.one([1, 1, 2, 5])
  return Array.from({ length: count }, (_, at): Step => {
    const seq = args.seq === undefined ? undefined : args.seq + at
    return { step: 'call', call: { name: 'stream.append', args: { ...args, seq } } }
  })
}

export function summarize(choices: Choices, world: World): Step[] {
  const fence = world.someFence(choices)
  const version = world.frames.get(`${fence.id}:${fence.attempt}`)?.version ?? 0
  const base = choices.one([version, version, version, version + 1])
  const document = someBytes(choices, choices.one([2, 30, 600]))
  const args = { ...frameArguments(choices, world, fence), base, document }
  return one({ name: 'stream.summarize', args })
}

function someAttempt(choices: Choices, world: World) {
  const id = choices.rarely(2) ? world.someId(choices) : world.someFence(choices).id
  const current = Number(world.records.get(id)?.attempt ?? 0)
  return { id, attempt: choices.one([current, current, current, current + 1, 0]) }
}

export function readStream(choices: Choices, world: World): Step[] {
  const of = someAttempt(choices, world)
  const last = framesOf(world, of)
  return one({
    name: 'stream.read',
    args: {
      ...of,
      from: choices.one([1, 1, 2, Math.max(1, last), last + 1]),
      to: choices.optional([1, Math.max(1, last - 1), last + 5], 2),
      count: choices.one([10_000, 1, 2, 5]),
    },
  })
}

export function tail(choices: Choices, world: World): Step[] {
  const of = someAttempt(choices, world)
  const last = framesOf(world, of)
  return one({
    name: 'stream.tail',
    args: {
      ...of,
      after: choices.one([last, last, 0, Math.max(0, last - 2), last + 1]),
      count: choices.one([10_000, 1, 3]),
      wait_ms: choices.one([5000, 100, 0]),
    },
  })
}

export function readSummary(choices: Choices, world: World): Step[] {
  const kept = [...world.dump.keys()].filter((key) => key.startsWith('summary:'))
  const [, id = '', attempt] = (choices.rarely(2) ? kept.at(-1) : undefined)?.split(':') ?? []
  const of = id === '' ? someAttempt(choices, world) : { id, attempt: Number(attempt) }
  return one({ name: 'stream.summary', args: of })
}
