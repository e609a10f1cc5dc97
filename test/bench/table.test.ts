// The table of the bench: medians, ratios that read the same in both directions, and its width.

import { expect, it } from 'vitest'
import { advantage, best, type Measure, spread } from '../../bench/measure.ts'
import { tableLines } from '../../bench/table.ts'

const rate: Measure = {
  name: 'server time per lifecycle',
  unit: '/s',
  better: 'higher',
  holdfast: spread([123_456, 100_000, 234_567]),
  bullmq: spread([50_000, 60_000]),
  plain: spread([300_000]),
}

it('takes the middle of the rounds', () => {
  expect(spread([3, 1, 2])).toEqual({ median: 2, min: 1, max: 3, n: 3 })
  expect(spread([4, 1, 2, 3])).toEqual({ median: 2.5, min: 1, max: 4, n: 4 })
  expect(spread([12_345.678])).toEqual({ median: 12_350, min: 12_350, max: 12_350, n: 1 })
})

it('picks the better of two rivals', () => {
  const [slow, fast] = [spread([1]), spread([2])]
  expect(best('higher', slow, fast)).toBe(fast)
  expect(best('lower', slow, fast)).toBe(slow)
})

it('tells how many times better Holdfast is, whichever direction is better', () => {
  const holdfast = spread([10])
  const bullmq = spread([20])
  expect(advantage({ ...rate, better: 'higher', holdfast, bullmq })).toBe(0.5)
  expect(advantage({ ...rate, better: 'lower', holdfast, bullmq })).toBe(2)
})

it('fits into 100 columns, with a dash for what was not measured', () => {
  const { bullmq: _, plain: __, ...alone } = rate
  const lines = tableLines([rate, { ...alone, name: 'alone', better: 'lower', unit: 'µs' }])
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(100)
  expect(lines).toEqual([
    'measure                    unit  Holdfast median [min–max]  BullMQ    plain  ratio',
    'server time per lifecycle  /s    123,500 [100,000–234,600]  55,000  300,000  2.25x',
    'alone                      µs    123,500 [100,000–234,600]       –        –      –',
  ])
})
