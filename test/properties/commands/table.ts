// Every kind of command and how often it comes.
import type { Choices } from '../choices.ts'
import type { Step, World } from '../world.ts'
import { claim, claimGranted, find, grant, grantAndClaim, renew, revoke } from './lease.ts'
import {
  block,
  cancelByOperator,
  look,
  open,
  purge,
  replay,
  replayOften,
  reprioritize,
  setLaneState,
  sweep,
  unblock,
  watch,
} from './operator.ts'
import { cancel, complete, delay, fail, progress, settleTwice } from './settle.ts'
import { submit } from './submit.ts'

export type Command = (choices: Choices, world: World) => readonly Step[]

/** To exactly the next due time, right before or after it, a little on, or far ahead. */
function jump(choices: Choices, world: World): Step[] {
  const next = world.nextDueMs() ?? world.nowMs
  const { nowMs } = world
  const targets = [nowMs + 1, next, next - 1, next + 1, nowMs + 120, nowMs + 3_600_000]
  const toMs = choices.rarely(60) ? nowMs + 100 * 86_400_000 : choices.one(targets)
  return [{ step: 'jump', toMs: Math.max(nowMs, toMs) }]
}

/** A call that was made before, however long ago: networks deliver late and twice. */
function repeatEarlier(choices: Choices, world: World): Step[] {
  const { calls } = world
  if (calls.length === 0) return []
  return [{ step: 'call', call: choices.one(calls) }]
}

const weights: readonly (readonly [number, Command])[] = [
  [26, submit],
  [22, claim],
  [12, jump],
  [3, progress],
  [5, complete],
  [7, fail],
  [3, cancel],
  [5, delay],
  [5, settleTwice],
  [4, renew],
  [4, revoke],
  [3, grant],
  [4, grantAndClaim],
  [4, claimGranted],
  [2, find],
  [2, cancelByOperator],
  [2, reprioritize],
  [4, replay],
  [1, replayOften],
  [3, block],
  [3, unblock],
  [2, purge],
  [3, setLaneState],
  [3, sweep],
  [1, open],
  [3, watch],
  [4, look],
  [4, repeatEarlier],
]

/** Each command as often as its weight says. */
export const commands: readonly Command[] = weights.flatMap(([weight, command]) =>
  Array.from({ length: weight }, () => command),
)

/** The steps of a command; now and then the reply to its last call is lost, so it is sent again. */
export function stepsOf(command: Command, choices: Choices, world: World): readonly Step[] {
  const isLost = choices.rarely(8)
  const steps = command(choices, world)
  return isLost && steps.at(-1)?.step === 'call' ? [...steps, { step: 'again' }] : steps
}
