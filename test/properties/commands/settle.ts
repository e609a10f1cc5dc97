// Random reports of workers: with the fence that holds, and with others.
import { failureClasses } from '../../../src/limits.ts'
import type { Choices } from '../choices.ts'
import type { Call, Fence, Step, World } from '../world.ts'
import { digestOf, someBytes } from './submit.ts'

const one = (call: Call): Step[] => [{ step: 'call', call }]

/** Few digests, so that another call now and then has the same one. */
const someDigest = (choices: Choices): string => digestOf(`d${choices.below(3)}`)

export function progress(choices: Choices, world: World): Step[] {
  return one({
    name: 'execution.progress',
    args: {
      ...world.someFence(choices),
      percent: choices.optional([0, 50, 100], 2),
      note: choices.optional(['', 'half way', 'ü\u0000\n'], 2),
    },
  })
}

export function complete(choices: Choices, world: World): Step[] {
  const fence = world.someFence(choices)
  const result = choices.rarely(3) ? undefined : someBytes(choices, choices.one([0, 5, 300, 5000]))
  const digest = someDigest(choices)
  return one({ name: 'execution.complete', args: { ...fence, digest, result } })
}

function failing(choices: Choices, fence: Fence): Call {
  return {
    name: 'execution.fail',
    args: {
      ...fence,
      digest: someDigest(choices),
      class: choices.one(failureClasses),
      failure: someBytes(choices, choices.one([2, 0, 200, 3000])),
      random_ppm: choices.one([0, 999_999, 500_000, 123_457, 1]),
    },
  }
}

export function fail(choices: Choices, world: World): Step[] {
  return one(failing(choices, world.someFence(choices)))
}

export function cancel(choices: Choices, world: World): Step[] {
  const fence = world.someFence(choices)
  const why = choices.one(['enough', '', 'ü\u0000|,'])
  return one({ name: 'execution.cancel', args: { ...fence, digest: someDigest(choices), why } })
}

export function delay(choices: Choices, world: World): Step[] {
  const fence = world.someFence(choices)
  const aheadMs = choices.one([500, 1, 0, -10, 70_000, 31_622_400_000, 31_622_400_001])
  const until_ms = world.nowMs + aheadMs
  return one({ name: 'execution.delay', args: { ...fence, digest: someDigest(choices), until_ms } })
}

const operations = [complete, fail, cancel, delay]

/** Gives a lease back twice: with the same call, with another digest, or by another operation. */
export function settleTwice(choices: Choices, world: World): Step[] {
  const first = choices.one(operations)(choices, world)
  const [step] = first
  if (step?.step !== 'call' || !('lease_id' in step.call.args)) return first
  const { id, attempt, lease_id, epoch } = step.call.args as Fence
  const other = failing(choices, { id, attempt, lease_id, epoch })
  return [...first, choices.rarely(2) ? { step: 'call', call: other } : { step: 'again' }]
}
