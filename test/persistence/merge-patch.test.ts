// Merge patches: the published examples of RFC 7396, and what they leave open about texts.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { mergePatch, readPatch } from '../../src/persistence/merge-patch.ts'

/** Appendix A of RFC 7396: original, patch, result. */
const published: readonly (readonly [string, string, string])[] = [
  ['{"a":"b"}', '{"a":"c"}', '{"a":"c"}'],
  ['{"a":"b"}', '{"b":"c"}', '{"a":"b","b":"c"}'],
  ['{"a":"b"}', '{"a":null}', '{}'],
  ['{"a":"b","b":"c"}', '{"a":null}', '{"b":"c"}'],
  ['{"a":["b"]}', '{"a":"c"}', '{"a":"c"}'],
  ['{"a":"c"}', '{"a":["b"]}', '{"a":["b"]}'],
  ['{"a":{"b":"c"}}', '{"a":{"b":"d","c":null}}', '{"a":{"b":"d"}}'],
  ['{"a":[{"b":"c"}]}', '{"a":[1]}', '{"a":[1]}'],
  ['["a","b"]', '["c","d"]', '["c","d"]'],
  ['{"a":"b"}', '["c"]', '["c"]'],
  ['{"a":"foo"}', 'null', 'null'],
  ['{"a":"foo"}', '"bar"', '"bar"'],
  ['{"e":null}', '{"a":1}', '{"e":null,"a":1}'],
  ['[1,2]', '{"a":"b","c":null}', '{"a":"b"}'],
  ['{}', '{"a":{"bb":{"ccc":null}}}', '{"a":{"bb":{}}}'],
]

/** The algorithm of section 2 of the RFC, on values. */
function naive(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch
  const isObject = typeof target === 'object' && target !== null && !Array.isArray(target)
  const merged: Record<string, unknown> = isObject ? { ...target } : Object.create(null)
  for (const [name, change] of Object.entries(patch)) {
    if (change === null) delete merged[name]
    else merged[name] = naive(merged[name], change)
  }
  return merged
}

describe('A merge patch', () => {
  it.each(published)('of %s with %s makes %s (S-C18)', (target, patch, result) => {
    expect(mergePatch(target, patch)).toBe(result)
  })

  it('does what the algorithm of the RFC does, for any JSON', () => {
    // Few names, so that original and patch meet.
    const names = fc.constantFrom('a', 'b', 'c', 'größe "\\ \u2028', '')
    const { any } = fc.letrec((tie) => ({
      any: fc.oneof(
        { depthSize: 'small', withCrossShrink: true },
        fc.jsonValue({ maxDepth: 1 }),
        fc.constant(null),
        fc.dictionary(names, tie('any'), { maxKeys: 4, noNullPrototype: true }),
      ),
    }))
    const spaces = fc.constantFrom(0, 2, '\t')
    const property = fc.property(any, any, spaces, (target, patch, space) => {
      const [from, by] = [JSON.stringify(target, null, space), JSON.stringify(patch, null, space)]
      const merged = mergePatch(from, by)
      expect(JSON.parse(merged)).toEqual(
        JSON.parse(JSON.stringify(naive(JSON.parse(from), JSON.parse(by)))),
      )
    })
    fc.assert(property, { numRuns: 2000 })
  })

  it('keeps what it does not change as it was written, but for white space', () => {
    const number = '-12345678901234567890.10e+400'
    const target = `{ "n" : ${number} , "s":"\\u00e9\\ud800\\/", "l": [ 1.0 , {"x" : [ ] } ] }`
    expect(mergePatch(target, '{"m": 1e-0}')).toBe(
      `{"n":${number},"s":"\\u00e9\\ud800\\/","l":[1.0,{"x":[]}],"m":1e-0}`,
    )
  })

  it('takes names for what they mean, however they are written', () => {
    expect(mergePatch('{"\\u0061":1,"__proto__":2}', '{"a":null,"constructor":3}')).toBe(
      '{"__proto__":2,"constructor":3}',
    )
    expect(mergePatch('{"a":1,"a":2}', '{}')).toBe('{"a":2}')
    expect(mergePatch('{}', '{"a":{"b":1},"a":{"c":2}}')).toBe('{"a":{"c":2}}')
  })

  it('makes a null only where the patch cannot ask for a removal', () => {
    expect(mergePatch('{"a":1}', '{"a":[null,{"b":null}]}')).toBe('{"a":[null,{"b":null}]}')
    expect(mergePatch('{"a":[1]}', '{"a":{"b":null,"c":{}}}')).toBe('{"a":{"c":{}}}')
  })

  it('is read from bytes only when it is an object of bounded depth', () => {
    const read = (text: string) => readPatch(Buffer.from(text))
    expect(read(' {"a":"[[[[[[[[[[[[[[[[[[{{{{\\"{"} ')).toBe(
      ' {"a":"[[[[[[[[[[[[[[[[[[{{{{\\"{"} ',
    )
    for (const text of ['', '1', '[]', 'null', '{"a":}', "{'a':1}", '{"a":01}', '{"a":NaN}']) {
      expect(() => read(text), text).toThrow(/invalid_input: payload/)
    }
    const deep = '['.repeat(30_000) + ']'.repeat(30_000)
    expect(() => read(`{"a":${deep}}`)).toThrow(/nested deeper than 16/)
  })
})
