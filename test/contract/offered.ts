// The 28 operations of the contract: every backend offers each of them.
import { describe, expect, it } from 'vitest'
import type { EngineBackend } from '../../src/persistence/backend.ts'
import type { Open } from '../support/backends.ts'

const contract = [
  ...['claim', 'renew', 'progress', 'complete', 'fail', 'cancel', 'delay', 'suspend'],
  ...['claimFromReclaim', 'claimResumedExecution', 'createWaitpoint', 'observeSignals'],
  ...['deliverSignal', 'appendFrame', 'readStream', 'tailStream', 'waitChildren', 'reportUsage'],
  ...['describeExecution', 'describeFlow', 'describeEdge', 'listEdges', 'listFlows', 'listLanes'],
  ...['listExecutions', 'listSuspended', 'resolveExecutionFlowId', 'cancelFlow'],
] as (keyof EngineBackend)[]

export function describeOffered(open: Open): void {
  describe('The contract', () => {
    it('has 28 operations, and this backend offers them all', async () => {
      const { backend } = await open()
      expect(new Set(contract).size).toBe(28)
      const missing = contract.filter((name) => typeof backend[name] !== 'function')
      expect(missing).toEqual([])
    })
  })
}
