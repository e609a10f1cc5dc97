// Searching executions through the public surface, on both kinds of backend.
import { describe, expect, test } from 'vitest'
import { task } from '../../src/index.ts'
import { refusal } from '../support/executions.ts'
import { kinds, useEngines } from './engines.ts'

describe.each(kinds)('searching on %s', (kind) => {
  const { open } = useEngines(kind)
  const nothing = task({ name: 'nothing', run: () => 'done' })

  test('finds what fits, also over many pages', async () => {
    const engine = await open()
    const items = Array.from({ length: 600 }, (_, at) => ({
      input: undefined,
      options: { tags: { parity: at % 2 === 0 ? 'even' : 'odd' } },
    }))
    await engine.submitMany(nothing, items)
    const found = new Set<string>()
    for await (const { executionId, task: name } of engine.search({ tag: { name: 'parity' } })) {
      expect(name).toBe('nothing')
      found.add(executionId)
    }
    expect(found.size).toBe(600)
    let odd = 0
    const tag = { name: 'parity', value: 'odd' }
    for await (const _ of engine.search({ tag, createdAfter: new Date(0) })) odd += 1
    expect(odd).toBe(300)
    const later = engine.search({ tag, createdAfter: new Date(Date.now() + 60_000) })
    expect(await later.next()).toMatchObject({ done: true })
    const earlier = engine.search({ tag, createdBefore: new Date(0) })
    expect(await earlier.next()).toMatchObject({ done: true })
  })

  test('asks for no more than is read', async () => {
    const engine = await open()
    await engine.submitMany(
      nothing,
      Array.from({ length: 600 }, () => ({ input: undefined })),
    )
    let pages = 0
    const { searchExecutions } = engine.backend
    engine.backend.searchExecutions = (...args) => {
      pages += 1
      return searchExecutions(...args)
    }
    for await (const { publicState } of engine.search({ state: 'waiting' })) {
      expect(publicState).toBe('waiting')
      break
    }
    expect(pages).toBe(1)
  })

  test('is refused when a filter is misspelt', async () => {
    const engine = await open()
    const filter = { lanes: 'a' } as object
    await refusal(engine.search(filter).next(), 'invalid_input', { argument: 'lanes' })
  })
})
