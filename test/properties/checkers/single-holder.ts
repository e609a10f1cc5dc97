// At most one proof of a lease is good for an execution, and it is the newest one.
import type { ClaimedRow } from '../../../src/persistence/generated/operations.ts'
import type { Checker, Stored } from '../observation.ts'

export function singleHolder(): Checker {
  const issued = new Map<string, ClaimedRow[]>()
  const owners = new Map<string, string>()

  const remember = (row: ClaimedRow): string | undefined => {
    const owner = owners.get(row.lease_id)
    if (owner !== undefined) return `lease ${row.lease_id} was given twice`
    owners.set(row.lease_id, row.id)
    issued.set(row.id, [...(issued.get(row.id) ?? []), row])
    return undefined
  }

  const checkHolders = (after: Stored): string | undefined => {
    const live = Object.entries(after.hash('leases'))
    const held = [...after.executions].filter(([, { state }]) => state === 'leased.held')
    if (live.length !== held.length) return `${live.length} live leases, ${held.length} held`
    for (const [id, fields] of held) {
      if (live.filter(([, owner]) => owner === id).length !== 1) return `${id} has not one lease`
      const good = (issued.get(id) ?? []).filter(
        (row) =>
          row.lease_id === fields['lease_id'] &&
          String(row.epoch) === fields['epoch'] &&
          String(row.attempt) === fields['attempt'],
      )
      if (good.length !== 1) return `${good.length} proofs are good for ${id}`
      if (good[0] !== issued.get(id)?.at(-1)) return `an old proof is good for ${id}`
    }
    return undefined
  }

  return ({ outcomes, after }) => {
    for (const { answer } of outcomes) {
      if (answer === undefined || !('rows' in answer) || !('replayed' in answer)) continue
      if (answer.replayed) continue
      for (const row of answer.rows) {
        const problem = remember(row)
        if (problem !== undefined) return problem
      }
    }
    return checkHolders(after)
  }
}
