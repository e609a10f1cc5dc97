// What runs under supervision and while it waits: pauses that a signal ends, and the sweeper.
import { getEventListeners } from 'node:events'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { pause } from '../../src/actors/pause.ts'
import { sweepLoop } from '../../src/actors/sweeper.ts'
import type { SweepOutcome } from '../../src/index.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

describe('a pause', () => {
  test('takes its time and leaves no listener behind', async () => {
    const { signal } = new AbortController()
    const over = vi.fn()
    void pause(1000, signal).then(over)
    expect(getEventListeners(signal, 'abort')).toHaveLength(1)
    await vi.advanceTimersByTimeAsync(999)
    expect(over).not.toHaveBeenCalled()
    await vi.advanceTimersByTimeAsync(1)
    expect(over).toHaveBeenCalled()
    expect(getEventListeners(signal, 'abort')).toEqual([])
  })

  test('is over at once when the signal fires, and leaves no timer behind', async () => {
    const control = new AbortController()
    const paused = pause(1000, control.signal)
    control.abort()
    await paused
    expect(vi.getTimerCount()).toBe(0)
  })

  test('is over at once when the signal fired before', async () => {
    await pause(1000, AbortSignal.abort())
    expect(vi.getTimerCount()).toBe(0)
  })

  test('may be longer than a timer of Node can hold, or without end', async () => {
    const control = new AbortController()
    const over = vi.fn()
    const month = pause(30 * 86_400_000, control.signal).then(over)
    await vi.advanceTimersByTimeAsync(29 * 86_400_000)
    expect(over).not.toHaveBeenCalled()
    control.abort()
    await month
  })
})

describe('the sweeper', () => {
  /** Answers with what is due next in each partition, and remembers what was asked. */
  function swept(nextInMs: readonly (number | undefined)[]) {
    const asked: number[] = []
    const backend = {
      partitions: nextInMs.map((_, partition) => partition),
      sweep: async (partition: number): Promise<SweepOutcome> => {
        asked.push(partition)
        return { promoted: 0, purged: 0, nextInMs: nextInMs[partition] }
      },
    }
    return { backend, asked }
  }

  test.each([
    ['every second when nothing is due', [undefined, undefined], 1000],
    ['every second when all is due later', [5000, 60_000], 1000],
    ['when the first is due', [700, 300], 300],
    ['no more often than every 20 ms', [0, 5], 20],
  ])('looks into all partitions at once and again: %s', async (_when, nextInMs, everyMs) => {
    const { backend, asked } = swept(nextInMs)
    const control = new AbortController()
    const loop = sweepLoop(backend)(control.signal)
    await vi.advanceTimersByTimeAsync(everyMs - 1)
    expect(asked).toEqual([0, 1])
    await vi.advanceTimersByTimeAsync(1)
    expect(asked).toEqual([0, 1, 0, 1])
    control.abort()
    await loop
    expect(asked).toHaveLength(4)
  })

  test('goes on at once for as long as it leaves something behind', async () => {
    let purged = 1050
    const counts: number[] = []
    const sweep = async (_partition: number, count = 100): Promise<SweepOutcome> => {
      const now = Math.min(count, purged)
      purged -= now
      counts.push(now)
      return { promoted: 0, purged: now, nextInMs: undefined }
    }
    const control = new AbortController()
    const loop = sweepLoop({ partitions: [0], sweep })(control.signal)
    // A rest of 20 ms between two sweeps would leave most of it undone by then.
    await vi.advanceTimersByTimeAsync(19)
    expect(purged).toBe(0)
    const calls = counts.length
    await vi.advanceTimersByTimeAsync(900)
    expect(counts).toHaveLength(calls)
    control.abort()
    await loop
  })

  test('does nothing once its signal fired', async () => {
    const { backend, asked } = swept([0])
    await sweepLoop(backend)(AbortSignal.abort())
    expect(asked).toEqual([])
  })

  test('leaves a fault to its supervisor', async () => {
    const backend = { partitions: [0], sweep: () => Promise.reject(new Error('no')) }
    await expect(sweepLoop(backend)(new AbortController().signal)).rejects.toThrow('no')
  })
})
