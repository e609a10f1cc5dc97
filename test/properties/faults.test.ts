// Shows that the net is tight: builds of the library with one small fault each are found out.
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { edited, moduleText, observingLibrary } from '../support/observing-library.ts'
import { seedsOf } from './choices.ts'
import { commands } from './commands/table.ts'
import { runOnModel } from './model-run.ts'
import { startLockstep } from './server-run.ts'

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
    before: 'return at_ms ~= nil and at_ms <= now_ms',
    after: 'return at_ms ~= nil and (at_ms < now_ms or field ~= "expires_at" and at_ms == now_ms)',
  },
  {
    name: 'leaves a large input behind after a refusal',
    module: 'ops.execution.submit',
    before: 'if redis.call("EXISTS", keys.execution(id)) == 0 then',
    after: 'if false then',
  },
  {
    name: 'keeps the note of the attempt before',
    module: 'lib.lease',
    before: 'redis.call("DEL", keys.note(x.id))',
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

it.each(faults)('A library that $name is found out', async ({ module, before, after }) => {
  const replaced = edited(moduleText(module), before, after)
  const server = await startLockstep(observingLibrary({ [module]: replaced }))
  try {
    let found: string | undefined
    const arbitrary = seedsOf(commands.length, 100)
    for (const seeds of fc.sample(arbitrary, { numRuns: sequencesMax, seed: 1 })) {
      const { performed } = await runOnModel(seeds)
      found = await server.difference(performed)
      if (found !== undefined) break
    }
    expect(found).toBeDefined()
  } finally {
    await server.stop()
  }
})
