// The codec reads back every answer that an operation can give, and marks every optional argument.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { FieldPlan, OperationName } from '../../src/persistence/contract.ts'
import { operationPlans, rowPlans } from '../../src/persistence/generated/operations.ts'
import { decodeAnswer, encodeCall, type Reply } from '../../src/persistence/valkey/codec.ts'
import { isShort, words } from '../support/canonical.ts'

const runs = 50
const listMax = 4

const texts = fc.string({ unit: 'grapheme', maxLength: 20, size: 'max' })
/** As they are stored: no white space, which is what keeps them apart. */
const word = fc.stringMatching(/^[A-Za-z0-9._-]{1,20}$/)
const bytes = fc.uint8Array({ maxLength: 40, size: 'max' }).map((array) => Buffer.from(array))
const list = <Value>(values: fc.Arbitrary<Value>) => fc.array(values, { maxLength: listMax })

const claimed = rowPlans.claimed ?? []

/** A value of a declared type, and the reply that carries it. */
type Pair = readonly [value: unknown, reply: Reply]

function ofType(type: string): fc.Arbitrary<Pair> {
  switch (type) {
    case 'text':
      return texts.map((text): Pair => [text, Buffer.from(text)])
    case 'int':
      return fc.maxSafeInteger().map((value): Pair => [value, Buffer.from(String(value))])
    case 'flag':
      return fc.boolean().map((value): Pair => [value, value ? 1 : 0])
    case 'bytes':
      return bytes.map((value): Pair => [value, value])
    case 'list':
      return list(texts).map((items): Pair => [items, items.map((item) => Buffer.from(item))])
    case 'blobs':
      return list(bytes).map((items): Pair => [items, items])
    case 'map':
      return list(fc.tuple(fc.stringMatching(/^[a-z_]{1,9}$/), texts)).map((entries): Pair => {
        const flat = entries.flat().map((text) => Buffer.from(text))
        return [Object.fromEntries(entries), flat]
      })
    case 'claimed':
      return list(ofWords(claimed)).map((rows): Pair => {
        const lines = rows.flatMap((row) => words(claimed, row, '')).join('\n')
        const inputs = rows.flatMap(({ input }) => (Buffer.isBuffer(input) ? [input] : []))
        return [rows, [Buffer.from(lines), ...inputs]]
      })
    default:
      return list(ofFields(rowPlans[type] ?? [])).map(
        (pairs): Pair => [pairs.map(([value]) => value), pairs.map(([, reply]) => reply)],
      )
  }
}

function ofFields(plans: readonly FieldPlan[]): fc.Arbitrary<readonly [object, Reply[]]> {
  const pairs = plans.map(({ type, optional }) => {
    const present = ofType(type)
    return optional ? fc.option(present, { nil: [undefined, null] as Pair }) : present
  })
  return fc.tuple(...pairs).map((found) => {
    const fields = plans.map(({ name }, at) => [name, found[at]?.[0]])
    return [Object.fromEntries(fields), found.map(([, reply]) => reply)]
  })
}

/** Values of fields that travel as words of one text. */
function ofWords(plans: readonly FieldPlan[]): fc.Arbitrary<Readonly<Record<string, unknown>>> {
  const values = plans.map(({ type, optional }) => {
    const present: fc.Arbitrary<unknown> =
      type === 'text' ? word : ofType(type).map(([value]) => value)
    return optional ? fc.option(present, { nil: undefined }) : present
  })
  return fc
    .tuple(...values)
    .map((found) => Object.fromEntries(plans.map(({ name }, at) => [name, found[at]])))
}

const outcomes = Object.entries(operationPlans).flatMap(([name, { returns }]) =>
  Object.entries(returns).map(
    ([outcome, plans]) => [name as OperationName, outcome, plans] as const,
  ),
)

describe('The codec', () => {
  it.each(outcomes)('reads %s %s', (name, outcome, plans) => {
    if (isShort(plans)) {
      const short = fc.property(ofWords(plans), (fields) => {
        const text = [outcome, ...words(plans, fields, '-')].join(' ')
        const answer = decodeAnswer(name, Buffer.from(text))
        expect(answer).toEqual({ outcome, ...fields })
      })
      return fc.assert(short, { numRuns: runs })
    }
    const property = fc.property(ofFields(plans), ([fields, replies]) => {
      const answer = decodeAnswer(name, [Buffer.from(outcome), ...replies])
      expect(answer).toEqual({ outcome, ...fields })
    })
    return fc.assert(property, { numRuns: runs })
  })

  it('sends as many parts as the operation has arguments, and marks those that are there', () => {
    const names = fc.constantFrom(...(Object.keys(operationPlans) as OperationName[]))
    const property = fc.property(names, fc.infiniteStream(fc.option(texts)), (name, stream) => {
      const { args } = operationPlans[name]
      const given = args.map(({ optional }) => {
        const value = stream.next().value as string | null
        return optional ? (value ?? undefined) : (value ?? '')
      })
      const wire = encodeCall(
        name,
        Object.fromEntries(args.map(({ name: argument }, at) => [argument, given[at]])),
      )
      const expected = args.map(({ optional }, at) => {
        const value = given[at]
        if (!optional) return value
        return value === undefined ? '0' : `1${value}`
      })
      expect(wire).toEqual([name, ...expected])
    })
    fc.assert(property, { numRuns: runs * 10 })
  })
})
