// Stores tell a repeated call from the first one, also where backends need not.
import { describe, expect, it } from 'vitest'
import type { OperationName } from '../../src/persistence/contract.ts'
import type { Open } from '../support/backends.ts'
import { claimOne, submit, submitAndClaim } from '../support/executions.ts'

export function describeRepetition(open: Open): void {
  describe('a repetition', () => {
    it('is told apart from the first call', async () => {
      const { backend, store } = await open({ partitions: 1 })
      const seen: Record<string, unknown[]> = {}
      const twice = async (name: OperationName, call: () => Promise<unknown>) => {
        const from = store.calls.length
        await call()
        await call()
        const answers = store.calls.slice(from).filter((asked) => asked.name === name)
        seen[name] = answers.map(({ answer }) =>
          'replayed' in answer ? answer.replayed : 'repeated' in answer && answer.repeated,
        )
      }
      const id = await submit(backend)
      await twice('execution.block', () => backend.blockExecution(id, 'reason'))
      await twice('execution.unblock', () => backend.unblockExecution(id, 'reason'))
      await twice('lease.grant', () => backend.issueClaimGrant(id, { worker: 'worker' }))
      await twice('execution.cancel_by_operator', () => backend.cancelExecution(id, 'over'))
      await twice('execution.replay', () => backend.replayExecution(id, 'request'))
      await twice('lease.claim', () => claimOne(backend, { leaseId: 'mine' }))
      await backend.revokeLease(id)
      const parked = await submitAndClaim(backend, {}, { kinds: ['fresh'] })
      await backend.delay(parked.handle, 0)
      const grant = await backend.issueClaimGrant(parked.executionId, { worker: 'worker' })
      await twice('lease.claim_granted', () => backend.claimResumedExecution({ grant }))
      expect(seen).toEqual({
        'execution.block': [false, true],
        'execution.unblock': [false, true],
        'lease.grant': [false, true],
        'execution.cancel_by_operator': [false, true],
        'execution.replay': [false, true],
        'lease.claim': [false, true],
        'lease.claim_granted': [false, true],
      })
    })
  })
}
