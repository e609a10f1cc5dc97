// Operations of the contract that are not offered yet: each says so by name.
import { describe, expect, it } from 'vitest'
import type { EngineBackend } from '../../src/persistence/backend.ts'
import { unavailableOperations } from '../../src/persistence/unavailable.ts'
import type { Open } from '../support/backends.ts'
import { refusedWithoutTrace, submitAndClaim } from '../support/executions.ts'

type Method = (...args: unknown[]) => Promise<unknown>

export function describeUnavailable(open: Open): void {
  describe('an operation that is not offered', () => {
    it.each(unavailableOperations)('is refused by name: %s', async (operation) => {
      const opened = await open()
      const { backend } = opened
      const { executionId, handle } = await submitAndClaim(backend)
      const method = backend[operation] as unknown as Method
      for (const args of [[], [handle, [], 1000], [executionId, {}, {}], [0, undefined, 10]]) {
        const call = () => method.apply(backend, args)
        const error = await refusedWithoutTrace(opened, call, 'unavailable', { operation })
        expect(error.message).toContain(operation)
      }
    })

    it('is the only kind of operation that a backend lacks', async () => {
      const { backend } = await open()
      const offered: (keyof EngineBackend)[] = [
        ...['claim', 'renew', 'progress', 'complete', 'fail', 'cancel', 'delay'],
        ...['claimFromReclaim', 'claimResumedExecution', 'describeExecution', 'listLanes'],
        ...['suspend', 'createWaitpoint', 'observeSignals', 'deliverSignal', 'listSuspended'],
        ...['listExecutions', 'appendFrame', 'readStream', 'tailStream'],
        ...['waitChildren', 'describeFlow', 'listEdges', 'describeEdge', 'listFlows'],
        ...['resolveExecutionFlowId', 'cancelFlow'],
      ] as (keyof EngineBackend)[]
      for (const name of [...offered, ...unavailableOperations]) {
        expect([name, typeof backend[name]]).toEqual([name, 'function'])
      }
      expect(new Set([...offered, ...unavailableOperations]).size).toBe(28)
    })
  })
}
