// Holds a test file to what users expect of a library: no warnings, no rejections nobody hears.
import { afterAll, afterEach, beforeAll, expect, vi } from 'vitest'

/** Fails the running test when anything was warned of, or a rejection had no handler. */
export function useQuietProcess(): void {
  const heard: unknown[] = []
  const hear = (what: unknown) => void heard.push(what)
  beforeAll(() => {
    process.on('warning', hear)
    process.on('unhandledRejection', hear)
    // What libraries have to say about wrong use, they say there.
    vi.spyOn(console, 'warn').mockImplementation(hear)
  })
  afterEach(() => {
    expect(heard.splice(0)).toEqual([])
  })
  afterAll(() => {
    process.off('warning', hear)
    process.off('unhandledRejection', hear)
    vi.mocked(console.warn).mockRestore()
  })
}
