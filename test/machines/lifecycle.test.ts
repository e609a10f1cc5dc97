// Enumerates the lifecycle machine: what can be reached, what must not be, and who it is for.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, test } from 'vitest'
import { facts } from '../../src/machines/facts.ts'
import { eventNames, leafNames } from '../../src/machines/generated/lifecycle.ts'
import { leafOf, lifecycleTable, nextLeaf } from '../../src/machines/table.ts'
import { operationPlans } from '../../src/persistence/generated/operations.ts'
import { dimensionsOf, forbidden } from './dimensions.ts'
import { factNames, factSets, xstateNext } from './transitions.ts'

const leaves = lifecycleTable()

/** Every leaf that some sequence of events under some facts leads to. */
function reachableFrom(start: string): ReadonlySet<string> {
  const found = new Set([start])
  for (const name of found) {
    for (const candidates of Object.values(leafOf(name)?.on ?? {})) {
      for (const { target } of candidates) found.add(target)
    }
  }
  return found
}

describe('The lifecycle', () => {
  const reachable = reachableFrom('absent')

  it('reaches every leaf from nothing', () => {
    expect([...reachable].sort()).toEqual([...leafNames].sort())
  })

  test.each(Object.keys(forbidden))('never shows %s', (name) => {
    const broken = leaves
      .filter((leaf) => reachable.has(leaf.name) && leaf.name !== 'absent')
      .filter((leaf) => forbidden[name]?.(dimensionsOf(leaf)))
    expect(broken.map((leaf) => leaf.name)).toEqual([])
  })

  it('would notice a forbidden combination if there were one', () => {
    const held = leafOf('leased.held')
    const ready = leafOf('runnable.ready')
    expect(held && forbidden['V4 an end without an outcome']?.(dimensionsOf(held))).toBe(false)
    const ended = ready && { ...ready, public: 'completed' as const }
    expect(ended && forbidden['V3 an outcome without an end']?.(dimensionsOf(ended))).toBe(true)
  })

  it('leaves an ended leaf by replay alone', () => {
    const ended = leaves.filter((leaf) => leaf.index === 'terminal')
    expect(ended.map((leaf) => leaf.name)).toEqual(
      leafNames.filter((name) => name.startsWith('terminal.')),
    )
    for (const leaf of ended) expect(Object.keys(leaf.on), leaf.name).toEqual(['replay'])
  })

  it('ends in the leaf that its public state names', () => {
    for (const leaf of leaves.filter((each) => each.index === 'terminal')) {
      expect(leaf.name).toBe(`terminal.${leaf.public}`)
    }
  })

  it('lets every unfinished leaf be cancelled and expired, and every way out lead on', () => {
    for (const { name, on } of leaves) {
      if (name === 'absent' || name.startsWith('terminal.')) continue
      expect(on.cancelExecution, name).toEqual([{ fact: undefined, target: 'terminal.cancelled' }])
      expect(on.expire, name).toEqual([{ fact: undefined, target: 'terminal.expired' }])
      const further = [...reachableFrom(name)].filter((target) => target.startsWith('terminal.'))
      expect(further.length, name).toBeGreaterThan(0)
    }
  })

  it('always has an answer: the last way out of every event needs no fact', () => {
    for (const { name, on } of leaves) {
      for (const [event, candidates] of Object.entries(on)) {
        expect(candidates.at(-1)?.fact, `${name} ${event}`).toBeUndefined()
        const before = candidates.slice(0, -1)
        expect(
          before.every(({ fact }) => fact !== undefined),
          `${name} ${event}`,
        ).toBe(true)
      }
    }
  })
})

describe('An event of the lifecycle', () => {
  const operated = new Map<string, string[]>()
  for (const [operation, { events }] of Object.entries(operationPlans)) {
    for (const event of events) operated.set(event, [...(operated.get(event) ?? []), operation])
  }

  it.each(eventNames)('%s has an operation', (event) => {
    expect(operated.get(event)).toBeDefined()
  })

  it('is known to the machine when an operation declares it', () => {
    expect([...operated.keys()].filter((event) => !eventNames.includes(event as never))).toEqual([])
  })
})

describe('A fact of the lifecycle', () => {
  const root = join(import.meta.dirname, '..', '..', 'lua')
  const modules = readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.lua') && !path.startsWith('generated'))
    .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }))

  it.each(factNames)('%s is read by a guard', (fact) => {
    const readers = leaves.flatMap((leaf) =>
      Object.values(leaf.on).flatMap((ways) => ways.filter((way) => way.fact === fact)),
    )
    expect(readers.length).toBeGreaterThan(0)
  })

  it.each(factNames)('%s is established where the list of facts says, and nowhere else', (fact) => {
    const { producer } = facts[fact]
    expect(existsSync(join(root, 'lib', `${producer}.lua`))).toBe(true)
    // As the name of a fact or as the value that becomes one; fields may bear the same name.
    const pattern = new RegExp(`\\b${fact} = |= "${fact}"`)
    const spelling = modules.filter(({ text }) => pattern.test(text))
    expect(spelling.length).toBeGreaterThan(0)
    for (const { path, text } of spelling) {
      // Whoever hands the fact on must have it from its producer.
      const isProducer = path === join('lib', `${producer}.lua`)
      expect(isProducer || text.includes(`require("lib.${producer}")`), path).toBe(true)
    }
  })
})

describe('The table of the lifecycle', () => {
  const sets = factSets()

  it.each(leafNames)('answers like XState for every event and set of facts in %s', (leaf) => {
    const differing: string[] = []
    for (const event of eventNames) {
      for (const holding of sets) {
        const expected = xstateNext(leaf, event, holding)
        if (nextLeaf(leaf, event, new Set(holding)) === expected) continue
        differing.push(`${event} [${holding.join(' ')}] → ${expected}`)
      }
    }
    expect(differing).toEqual([])
  })

  it('has the leaves and the events that are generated', () => {
    expect(leaves.map((leaf) => leaf.name)).toEqual(leafNames)
    const known = new Set(leaves.flatMap((leaf) => Object.keys(leaf.on)))
    expect([...known].sort()).toEqual(eventNames)
  })
})
