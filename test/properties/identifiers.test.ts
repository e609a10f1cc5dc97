// Identifiers under random use: new ids only grow, and a changed handle proves nothing.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isEngineError } from '../../src/errors.ts'
import { formatExecutionId, LocalIdMaker, parseExecutionId } from '../../src/ids.ts'
import type { ClaimedRow } from '../../src/persistence/generated/operations.ts'
import { claimedExecution, parseHandle } from '../../src/persistence/handle.ts'

const runs = 2000
/** What ten characters of an id can hold: until the year 37648. */
const lastMs = 2 ** 50 - 1
const times = fc.integer({ min: 0, max: lastMs })

describe('Local ids', () => {
  it('grow strictly even when the clock stands still or goes back', () => {
    const steps = fc.array(fc.oneof(fc.constant(0), fc.integer({ min: -5, max: 5 }), times), {
      minLength: 2,
      maxLength: 50,
      size: 'max',
    })
    const property = fc.property(times, steps, (startMs, list) => {
      const maker = new LocalIdMaker()
      let last = ''
      for (const step of list) {
        const local = maker.next(Math.max(0, Math.min(lastMs, startMs + step)))
        expect(local > last).toBe(true)
        expect(parseExecutionId(formatExecutionId(7, local))).toEqual({ partition: 7, local })
        last = local
      }
    })
    fc.assert(property, { numRuns: runs / 4 })
  })
})

const localIds = fc.integer({ min: 0, max: 2 ** 40 }).map((at) => new LocalIdMaker().next(at))

const rows = fc.record({
  id: localIds,
  attempt: fc.nat(4_294_967_295),
  epoch: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
  lease_id: fc.stringMatching(/^[\w-]{1,20}\.[1-9]$/),
})

function handleOf(row: Partial<ClaimedRow>, partition: number) {
  return claimedExecution('valkey', partition, { kind: 'fresh', ...row } as ClaimedRow).handle
}

describe('Handles', () => {
  const partitions = fc.nat(1023)

  it('prove what they were made for', () => {
    const property = fc.property(rows, partitions, (row, partition) => {
      expect(parseHandle('valkey', handleOf(row, partition))).toEqual({ partition, ...row })
    })
    fc.assert(property, { numRuns: runs })
  })

  it('are refused, or prove something else, once one character is changed', () => {
    const characters = fc.constantFrom(...'0123456789abcxyz|-._ \u0000ü')
    const edits = fc.constantFrom('replace', 'insert', 'remove')
    const property = fc.property(
      fc.tuple(rows, partitions),
      fc.nat(200),
      characters,
      edits,
      ([row, partition], where, character, edit) => {
        const handle = handleOf(row, partition)
        const { opaque } = handle
        const at = where % opaque.length
        const put = edit === 'remove' ? '' : character
        const changed = opaque.slice(0, at) + put + opaque.slice(edit === 'insert' ? at : at + 1)
        fc.pre(changed !== opaque)
        try {
          const fence = parseHandle('valkey', { ...handle, opaque: changed })
          expect(fence).not.toEqual({ partition, ...row })
        } catch (error) {
          if (!isEngineError(error)) throw error
          expect(error.code).toBe('invalid_handle')
        }
      },
    )
    fc.assert(property, { numRuns: runs })
  })
})
