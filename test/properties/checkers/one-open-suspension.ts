// A suspended execution has exactly one open suspension and no lease; every other one has none.

import { leasesOf, suspensionOf, waitpointsOf } from '../waiting.ts'
import type { Fields } from '../world.ts'
import type { Performed, Stored } from './performed.ts'

export function oneOpenSuspension({ before, after }: Performed): string | undefined {
  if (before.text === after.text) return undefined
  for (const [id, fields] of after.records) {
    const why =
      fields.state === 'suspended' ? openProblem(after, id, fields) : restProblem(after, id, fields)
    if (why !== undefined) return `${id} ${why}`
  }
  return undefined
}

function openProblem({ dump }: Stored, id: string, fields: Fields): string | undefined {
  const s = suspensionOf(dump, id)
  if (s?.isOpen !== true) return 'is suspended, but no suspension is open'
  if (fields.suspension !== s.id) return `names the suspension ${fields.suspension}, not ${s.id}`
  if (fields.wait_until !== s.f.get('timeout_at')) return `waits until ${fields.wait_until}`
  if (fields.parked === undefined) return 'is suspended, but its attempt is not interrupted'
  const holder = leasesOf(dump).get(fields.lease_id ?? '')
  if (holder === id) return 'is suspended under a live lease'
  const active = waitpointsOf(dump, id).filter(({ state }) => state === 'active')
  const stray = active.find(({ suspension }) => suspension !== s.id)
  if (stray !== undefined) return `has ${stray.id} active for the suspension ${stray.suspension}`
  const names = active.map((point) => point.id)
  const idle = s.ids.find((name) => !names.includes(name))
  return idle === undefined ? undefined : `waits at ${idle}, which is not active`
}

function restProblem({ dump }: Stored, id: string, fields: Fields): string | undefined {
  if (suspensionOf(dump, id)?.isOpen === true) return 'is not suspended, but a suspension is open'
  if (fields.suspension !== undefined) return 'is not suspended, but names a suspension'
  if (fields.wait_until !== undefined) return 'is not suspended, but waits for a time'
  const active = waitpointsOf(dump, id).find(({ state }) => state === 'active')
  return active === undefined ? undefined : `is not suspended, but ${active.id} is active`
}
