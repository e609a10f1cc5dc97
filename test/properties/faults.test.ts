// Shows that the net is tight: builds of the library with one small fault each are found out.
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { edited, moduleText } from '../support/observing-library.ts'
import type { checkers } from './checkers/table.ts'
import { type Seed, seedsOf } from './choices.ts'
import { aloneCount, commands } from './commands/table.ts'
import { runOnModel } from './model-run.ts'
import { startLockstep } from './server-run.ts'
import { smallLibrary } from './small-limits.ts'

const sequencesMax = 400

interface Fault {
  readonly name: string
  readonly module: string
  readonly before: string
  readonly after: string
}

const faults: readonly Fault[] = [
  {
    name: 'does not count how often work was reclaimed',
    module: 'lib.lease',
    before: 'record.set(x, "reclaims", (record.number(x, "reclaims") or 0) + 1)',
    after: '',
  },
  {
    name: 'forgets to take a purged key away',
    module: 'lib.purge',
    before: 'if x.f.key ~= nil then',
    after: 'if x.f.key == "" then',
  },
  {
    name: 'lets a lease run out one millisecond late',
    module: 'lib.due',
    before: 'if record.need(x, "expires_at") <= now_ms then',
    after: 'if record.need(x, "expires_at") < now_ms then',
  },
  {
    name: 'leaves a large input behind after a refusal',
    module: 'ops.execution.submit',
    before: 'if not record.exists(id) then',
    after: 'if false then',
  },
  {
    name: 'keeps the note of the attempt before',
    module: 'lib.lease',
    before: 'values.remove(keys.note(x.id))',
    after: '',
  },
  {
    name: 'appends the newest frame again when its answer was lost',
    module: 'lib.producer',
    before: 'replayed = arg.seq and arg.seq <= known.last',
    after: 'replayed = arg.seq and arg.seq < known.last',
  },
  {
    name: 'leaves the stream of a retried attempt open',
    module: 'ops.execution.fail',
    before: 'stream.close(x, "attempt_failure", now_ms)',
    after: '',
  },
  {
    name: 'leaves the document of a purged execution behind',
    module: 'lib.stream',
    before: 'keys.summary(id, attempt)',
    after: 'keys.live(id, attempt)',
  },
  {
    name: 'leaves the stream of a reclaimed attempt open',
    module: 'lib.lease',
    before: 'stream.close(x, "reclaimed", now_ms)',
    after: '',
  },
]

/** Faults that the named invariant has to find on the server alone, without a model beside it. */
const waits: readonly (Fault & { readonly checker: keyof typeof checkers })[] = [
  {
    name: 'ignores the signals that came before the suspension',
    checker: 'conditionTruth',
    module: 'ops.execution.suspend',
    before: 'local early = buffered(x, points)',
    after: 'local early = {}',
  },
  {
    name: 'does not see that early signals met the condition',
    checker: 'wakeUpNeverLost',
    module: 'ops.execution.suspend',
    before: '    if met and closer then',
    after: '    met = false\n    if met and closer then',
  },
  {
    name: 'never lets an inner composite come true',
    checker: 'wakeUpNeverLost',
    module: 'lib.condition',
    before: '    if condition.satisfied(member, tally) == decisive then',
    after:
      '    local inner = member.kind == "all" or member.kind == "any"\n' +
      '    if (not inner and condition.satisfied(member, tally)) == decisive then',
  },
  {
    name: 'feeds all counts of a condition from one pool',
    checker: 'conditionTruth',
    module: 'lib.condition',
    before: 'local token = node.path .. "|" .. identity',
    after: 'local token = (node.kind == "count" and "" or node.path) .. "|" .. identity',
  },
  {
    name: 'accepts signals at closed waitpoints once the execution is suspended again',
    checker: 'closedStaysClosed',
    module: 'ops.signal.deliver',
    before: 'elseif point.state ~= "pending" or not waitpoints.alive(x, point) then',
    after:
      'elseif point.state == "closed" and x.f.suspension then\n    return nil\n' +
      '  elseif point.state ~= "pending" or not waitpoints.alive(x, point) then',
  },
  {
    name: 'looks whether a signal is known after looking whether its waitpoint is closed',
    checker: 'replayEqualsFirstOutcome',
    module: 'ops.signal.deliver',
    before: '    local before = known(x, arg)\n    if before then',
    after:
      '    local gone = late(x, arg, waitpoints.load(x, arg.waitpoint), now_ms)\n' +
      '    if gone then\n      return gone\n    end\n' +
      '    local before = known(x, arg)\n    if before then',
  },
  {
    name: 'leaves a waitpoint active when it resumes',
    checker: 'oneOpenSuspension',
    module: 'lib.suspension',
    before: '  for _, id in ipairs(s.ids) do\n    local point = waitpoints.load(x, id)',
    after:
      '  for place, id in ipairs(s.ids) do\n' +
      '    local point = place == 1 and waitpoints.load(x, id) or { state = "closed" }',
  },
  {
    name: 'leaves a suspension open when it is cancelled',
    checker: 'oneOpenSuspension',
    module: 'lib.finish',
    before: 'suspension.close(x, suspension.load(x), how, nil, now_ms)',
    after: '',
  },
  {
    name: 'stores a signal that is sent again a second time',
    checker: 'signalsKept',
    module: 'ops.signal.deliver',
    before: '    if before then\n      return before\n    end',
    after: '',
  },
  {
    name: 'forgets the bytes of signals that were kept for a suspension',
    checker: 'signalsKept',
    module: 'ops.signal.deliver',
    before: 'signals.append(x, signal, arg.payload or nil)',
    after: 'signals.append(x, signal, s and arg.payload or nil)',
  },
  {
    name: 'lets a suspension run out of time one millisecond early',
    checker: 'neverEarly',
    module: 'lib.due',
    before: 'if is_due(x, "wait_until", now_ms) then',
    after: 'if is_due(x, "wait_until", now_ms + 1) then',
  },
]

const budgets: typeof waits = [
  {
    name: 'counts a report again that comes late',
    checker: 'budgetsConserved',
    module: 'lib.ledger',
    before: 'if report.seq <= row.settled then',
    after: 'if report.seq < 0 then',
  },
  {
    name: 'forgets to settle what a budget counted',
    checker: 'budgetsConserved',
    module: 'lib.usage',
    before: '  save_open(id, left)\n',
    after: '',
  },
  {
    name: 'lets work begin whose budget is used up',
    checker: 'budgetsKeepBack',
    module: 'lib.exhaustion',
    before: 'keeper = keeper or budget',
    after: 'keeper = nil',
  },
]

const invariants = [...waits, ...budgets]

const aboutAlone: ReadonlySet<Fault> = new Set([...faults, ...waits])

/** Commands that the fault is about: the others would only get in the way. */
const kindsFor = (fault: Fault) => (aboutAlone.has(fault) ? aloneCount : commands.length)

/** Runs sequences until one of them finds something. */
async function firstFinding(
  kinds: number,
  find: (seeds: readonly Seed[]) => Promise<string | undefined>,
): Promise<string | undefined> {
  const arbitrary = seedsOf(kinds, 100)
  for (const seeds of fc.sample(arbitrary, { numRuns: sequencesMax, seed: 1 })) {
    const found = await find(seeds)
    if (found !== undefined) return found
  }
  return undefined
}

function faultyLibrary({ module, before, after }: Fault) {
  return smallLibrary({ [module]: edited(moduleText(module), before, after) })
}

it.each([...faults, ...invariants])('A library that $name is found out', async (fault) => {
  const server = await startLockstep(faultyLibrary(fault))
  try {
    const found = await firstFinding(kindsFor(fault), async (seeds) => {
      const { performed } = await runOnModel(seeds)
      return server.difference(performed)
    })
    expect(found).toBeDefined()
  } finally {
    await server.stop()
  }
})

it.each(invariants)('$checker alone finds a library that $name', async (fault) => {
  const server = await startLockstep(faultyLibrary(fault))
  try {
    const found = await firstFinding(kindsFor(fault), async (seeds) => {
      const subject = await server.subject()
      const { problem } = await runOnModel(seeds, undefined, subject)
      // Other invariants may see it too, or before it in another sequence.
      return problem?.split('\n').find((line) => line.startsWith(`${fault.checker}:`))
    })
    expect(found).toBeDefined()
  } finally {
    await server.stop()
  }
})
