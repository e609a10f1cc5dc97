// The test projects, from pure and quick to whole-system, and how much of the machine they may use.

import { defineConfig } from 'vitest/config'

function project(name: string, timeoutMs: number, include: string[]) {
  return {
    extends: true as const,
    test: { name, include, testTimeout: timeoutMs, hookTimeout: timeoutMs },
  }
}

export default defineConfig({
  test: {
    pool: 'forks',
    maxWorkers: 2,
    passWithNoTests: true,
    reporters: ['default', './scripts/closing-line-reporter.ts'],
    projects: [
      project('unit', 10_000, [
        'test/{machines,engine,actors,persistence,docs}/**/*.test.ts',
        'test/tidy.test.ts',
      ]),
      project('contract', 30_000, ['test/{contract,lua}/**/*.test.ts']),
      project('properties', 120_000, ['test/properties/**/*.test.ts']),
      project('flows', 300_000, ['test/flows/**/*.test.ts']),
      project('refinement', 300_000, ['test/refinement/**/*.test.ts']),
      project('demo', 120_000, ['test/{demo,bench}/**/*.test.ts']),
    ],
  },
})
