// Durations as people write them, timers of any length, and a clock that never goes back.
import { afterEach, describe, expect, test, vi } from 'vitest'
import { type Duration, parseDurationMs, setTimer, systemClock } from '../../src/time.ts'

describe('a duration', () => {
  test.each<[Duration, number]>([
    [0, 0],
    [250, 250],
    ['0ms', 0],
    ['250ms', 250],
    ['30s', 30_000],
    ['5m', 300_000],
    ['2h', 7_200_000],
    ['2d', 172_800_000],
    ['1.5s', 1500],
    ['0.5d', 43_200_000],
    ['16.1s', 16_100],
    ['2.01s', 2010],
    ['64.4s', 64_400],
    ['1.001s', 1001],
  ])('of %s is %d ms', (duration, ms) => {
    expect(parseDurationMs(duration, 'delay')).toBe(ms)
  })

  test('of any number with up to three decimals is read in whole milliseconds', () => {
    for (let ms = 0; ms < 20_000; ms += 7) {
      expect(parseDurationMs(`${(ms / 1000).toFixed(3) as `${number}`}s`, 'delay')).toBe(ms)
    }
  })

  test.each([
    -1,
    0.5,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    2 ** 53,
    '',
    '5',
    's',
    '5 s',
    ' 5s',
    '5s ',
    '-5s',
    '+5s',
    '1e3ms',
    '5S',
    '5sec',
    '1h30m',
    '1,5s',
    '.5s',
    '5.s',
    '٣s',
    null,
    undefined,
    {},
    [],
    true,
    5n,
  ])('cannot be %s', (given) => {
    expect(() => parseDurationMs(given as Duration, 'delay')).toThrow(
      expect.objectContaining({
        code: 'invalid_input',
        details: { argument: 'delay', given: String(given) },
      }),
    )
  })
})

describe('a timer', () => {
  afterEach(() => void vi.useRealTimers())

  test.each([0, 1, 1000, 2 ** 31 - 1, 2 ** 31, 60 * 86_400_000, 365 * 86_400_000])(
    'of %d ms fires then, once, and not before',
    (ms) => {
      vi.useFakeTimers()
      const fire = vi.fn()
      setTimer(fire, ms)
      if (ms > 0) vi.advanceTimersByTime(ms - 1)
      if (ms > 0) expect(fire).not.toHaveBeenCalled()
      vi.advanceTimersByTime(1)
      expect(fire).toHaveBeenCalledTimes(1)
      vi.runAllTimers()
      expect(fire).toHaveBeenCalledTimes(1)
    },
  )

  test('can be taken back at any time', () => {
    vi.useFakeTimers()
    const fire = vi.fn()
    const timer = setTimer(fire, 60 * 86_400_000)
    vi.advanceTimersByTime(59 * 86_400_000)
    timer.clear()
    timer.clear()
    vi.runAllTimers()
    expect(fire).not.toHaveBeenCalled()
  })
})

describe('the clock of this machine', () => {
  afterEach(() => void vi.useRealTimers())

  test('tells microseconds of the wall', () => {
    const beforeMs = Date.now()
    const us = systemClock().nowUs()
    expect(us / 1000).toBeGreaterThanOrEqual(beforeMs)
    expect(us / 1000).toBeLessThan(Date.now() + 1)
    expect(Number.isSafeInteger(us)).toBe(true)
  })

  test('never goes back, even if the wall does', () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    const clock = systemClock()
    vi.setSystemTime(2_000_000_000_000)
    const late = clock.nowUs()
    vi.setSystemTime(1_900_000_000_000)
    expect(clock.nowUs()).toBe(late)
    vi.setSystemTime(2_000_000_000_001)
    expect(clock.nowUs()).toBeGreaterThan(late)
  })

  test('moves within a millisecond', () => {
    const clock = systemClock()
    const seen = new Set<number>()
    while (seen.size < 50) seen.add(clock.nowUs())
    expect([...seen].some((us) => us % 1000 !== 0)).toBe(true)
  })
})
