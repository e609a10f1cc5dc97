// Every kind of command and how often it comes.
import type { Choices } from '../choices.ts'
import type { Step, World } from '../world.ts'
import {
  describeBudget,
  exhaustGranted,
  floodUsage,
  keepBack,
  lookAtUsage,
  makeBudget,
  manageBudget,
  relayUsage,
  removeUntold,
  reportUsage,
  reserve,
  reserveMany,
  tellBudget,
} from './budget.ts'
import { followEvents, keepEvents, manyEvents, readEvents } from './feed.ts'
import {
  applyGraph,
  cancelFlow,
  cancelLate,
  createFlow,
  drain,
  insist,
  lookAtFlows,
  purgeFlow,
  replayInFlow,
  spawn,
  waitChildren,
} from './flow.ts'
import { keyring } from './keyring.ts'
import { claim, claimGranted, find, grant, grantAndClaim, renew, revoke } from './lease.ts'
import {
  acquireSlot,
  contend,
  lookAtLimits,
  pauseLimit,
  relay,
  releaseSlot,
  removeLimit,
  setLimit,
} from './limit.ts'
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
import { allow, deliver, deliverSome, flood, lookAtSignals } from './signal.ts'
import { append, readStream, readSummary, summarize, tail } from './stream.ts'
import { submit } from './submit.ts'
import {
  closeWaitpoint,
  createMany,
  createWaitpoint,
  episode,
  outlive,
  resume,
  suspend,
} from './suspend.ts'

export type Command = (choices: Choices, world: World) => readonly Step[]

/** To exactly the next due time, right before or after it, a little on, or far ahead. */
function jump(choices: Choices, world: World): Step[] {
  const next = world.nextDueMs() ?? world.nowMs
  const { nowMs } = world
  const targets = [nowMs + 1, next, next - 1, next + 1, nowMs + 120, nowMs + 3_600_000]
  // A server's clock may be set back.
  if (choices.rarely(30)) return [{ step: 'jump', toMs: nowMs - choices.one([1, 60, 5000]) }]
  const toMs = choices.rarely(60) ? nowMs + 100 * 86_400_000 : choices.one(targets)
  return [{ step: 'jump', toMs: Math.max(nowMs, toMs) }]
}

/** A call that was made before, however long ago: networks deliver late and twice. */
function repeatEarlier(choices: Choices, world: World): Step[] {
  const { calls } = world
  if (calls.length === 0) return []
  return [{ step: 'call', call: choices.one(calls) }]
}

/** Where nothing is held there is little to report: somebody has to claim first. */
function whenHeld(command: Command): Command {
  return (choices, world) => {
    const isIdle = world.idsIn(/^leased\.held$/).length === 0 && choices.below(4) > 0
    return isIdle ? claim(choices, world) : command(choices, world)
  }
}

/** Nothing can be done to work that was never submitted. */
function whenKnown(command: Command): Command {
  return (choices, world) => {
    const isEmpty = world.ids.length === 0 && !choices.rarely(8)
    return isEmpty ? submit(choices, world) : command(choices, world)
  }
}

/** A graph needs a flow to grow in. */
function whenFlowing(command: Command): Command {
  return (choices, world) => {
    const isEmpty = world.flowIds().length === 0 && !choices.rarely(8)
    return isEmpty ? createFlow(choices, world) : command(choices, world)
  }
}

/** Nobody can be signalled who never waited. */
function whenIssued(command: Command): Command {
  return (choices, world) => {
    const isIssued = [...world.dump.keys()].some((key) => key.startsWith('points:'))
    const isIdle = !isIssued && !choices.rarely(8)
    return isIdle ? whenHeld(episode)(choices, world) : command(choices, world)
  }
}

type Weighted = readonly (readonly [number, Command])[]

/** What is done to single executions. */
const alone: Weighted = [
  [26, submit],
  [22, claim],
  [12, jump],
  [3, whenHeld(progress)],
  [5, whenHeld(complete)],
  [7, whenHeld(fail)],
  [3, whenHeld(cancel)],
  [5, whenHeld(delay)],
  [5, whenHeld(settleTwice)],
  [4, whenHeld(renew)],
  [4, whenHeld(revoke)],
  [3, whenKnown(grant)],
  [4, whenKnown(grantAndClaim)],
  [4, claimGranted],
  [2, find],
  [2, whenKnown(cancelByOperator)],
  [2, whenKnown(reprioritize)],
  [4, whenKnown(replay)],
  [1, whenKnown(replayOften)],
  [3, whenKnown(block)],
  [3, whenKnown(unblock)],
  [2, whenKnown(purge)],
  [3, setLaneState],
  [3, sweep],
  [1, open],
  [3, whenKnown(watch)],
  [4, look],
  [9, whenHeld(append)],
  [4, whenHeld(summarize)],
  [3, whenKnown(readStream)],
  [4, whenKnown(tail)],
  [4, whenKnown(readSummary)],
  [6, whenHeld(suspend)],
  [8, whenHeld(episode)],
  [4, whenHeld(createWaitpoint)],
  [2, whenHeld(outlive)],
  [1, whenHeld(createMany)],
  [3, whenHeld(closeWaitpoint)],
  [10, whenIssued(deliver)],
  [6, whenIssued(deliverSome)],
  [2, whenIssued(flood)],
  [4, whenKnown(resume)],
  [3, keyring],
  [1, allow],
  [7, whenKnown(lookAtSignals)],
  [4, repeatEarlier],
  [3, readEvents],
  [3, followEvents],
  [1, keepEvents],
  [1, whenKnown(manyEvents)],
]

/** What brings several of them together: limits, flows, budgets. */
const together: Weighted = [
  [5, setLimit],
  [1, removeLimit],
  [2, pauseLimit],
  [3, lookAtLimits],
  [3, contend],
  [3, acquireSlot],
  [3, releaseSlot],
  [3, relay],
  [4, createFlow],
  [14, whenFlowing(applyGraph)],
  [6, whenHeld(spawn)],
  [4, whenHeld(waitChildren)],
  [2, whenFlowing(cancelFlow)],
  [2, cancelLate],
  [2, insist],
  [4, whenKnown(replayInFlow)],
  [3, drain],
  [2, whenFlowing(purgeFlow)],
  [7, whenFlowing(lookAtFlows)],
  [5, makeBudget],
  [5, manageBudget],
  [12, whenHeld(reportUsage)],
  [2, whenHeld(floodUsage)],
  [10, whenKnown(relayUsage)],
  [5, whenHeld(reserve)],
  [3, describeBudget],
  [10, tellBudget],
  [8, keepBack],
  [2, removeUntold],
  [2, whenHeld(reserveMany)],
  [3, whenKnown(exhaustGranted)],
  [3, whenHeld(lookAtUsage)],
]

function repeated(weights: Weighted): Command[] {
  return weights.flatMap(([weight, command]) => Array.from({ length: weight }, () => command))
}

/** Each command as often as its weight says. */
export const commands: readonly Command[] = [...repeated(alone), ...repeated(together)]

/** How many of the first commands are about single executions. */
export const aloneCount = repeated(alone).length

/** The steps of a command; now and then the reply to its last call is lost, so it is sent again. */
export function stepsOf(command: Command, choices: Choices, world: World): readonly Step[] {
  const isLost = choices.rarely(8)
  const steps = command(choices, world)
  return isLost && steps.at(-1)?.step === 'call' ? [...steps, { step: 'again' }] : steps
}
