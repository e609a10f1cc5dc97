// A backend of one partition with one limit, for the contract of limits.
import type { LimitPolicy } from '../../src/persistence/limit-backend.ts'
import type { Open } from './backends.ts'
import { submit } from './executions.ts'

const one: LimitPolicy = { concurrency: 1 }

/** Opens such backends; `stands` tells how the limit stands, `add` submits work under it. */
export function limitedBy(open: Open) {
  return async (policy: LimitPolicy = one) => {
    const opened = await open({ partitions: 1 })
    const { backend } = opened
    await backend.setLimit('api', policy)
    const stands = async (key?: string) => {
      const found = await backend.describeLimit('api', key)
      return { active: found?.active, waiting: found?.waiting, started: found?.started }
    }
    const add = (overrides = {}) => submit(backend, { limit: 'api', ...overrides })
    return { ...opened, stands, add }
  }
}
