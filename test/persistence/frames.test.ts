// Stored frames: what was packed is read back, and what cannot be right is refused.
import { expect, it } from 'vitest'
import { packFrame, storedFrame } from '../../src/persistence/embedded/frame-list.ts'
import { readFrame } from '../../src/persistence/frames.ts'

const frame = {
  number: 12,
  mode: 'summary',
  encoding: 'json',
  atMs: 2_000_000_000_000,
  version: 3,
  type: 'größe:1',
  correlation: 'a b\n\u0000ü',
  payload: Buffer.from('{}\n'),
}

it('A packed frame reads back as it was', () => {
  const { packed } = packFrame(frame)
  expect(Buffer.from(packed).toString()).toBe('12 s j 2000000000000 3 größe:1 7\na b\n\u0000ü{}\n')
  expect(readFrame(packed)).toEqual({
    number: 12,
    type: 'größe:1',
    mode: 'summary',
    encoding: 'json',
    payload: Buffer.from('{}\n'),
    correlationId: 'a b\n\u0000ü',
    summaryVersion: 3,
    atMs: 2_000_000_000_000,
  })
  expect(storedFrame(packed).number).toBe(12)
  const bare = packFrame({ ...frame, version: undefined, correlation: undefined })
  expect(readFrame(bare.packed)).toMatchObject({
    correlationId: undefined,
    summaryVersion: undefined,
  })
})

it.each(['', '12', '12 d b 1 - log -', '12 x b 1 - log -\n', 'x d b 1 - log -\n', '\n'])(
  'A stored frame that does not parse is corruption: %j',
  (text) => {
    expect(() => readFrame(Buffer.from(text))).toThrow(/^corruption/)
  },
)
