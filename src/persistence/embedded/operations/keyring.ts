// The keys that sign waitpoint tokens: reading them, the first one, and replacing it.
import type { Answer, Arguments } from '../../contract.ts'
import { type CallContext, refuse } from '../call-context.ts'
import { installKey } from '../keyring.ts'

export function readKeyring({ keyspace, nowMs }: CallContext): Answer<'keyring.read'> {
  return { outcome: 'read', entries: Object.fromEntries(keyspace.keyring.entries()), now: nowMs }
}

export function seedKeyring(
  call: CallContext,
  { kid, secret }: Arguments<'keyring.seed'>,
): Answer<'keyring.seed'> {
  const current = call.keyspace.keyring.get('current')
  if (current !== undefined) return { outcome: 'present', current }
  installKey(call, kid, secret, 0)
  return { outcome: 'seeded', current: kid }
}

export function rotateKeyring(
  call: CallContext,
  { kid, secret, grace_ms: graceMs }: Arguments<'keyring.rotate'>,
): Answer<'keyring.rotate'> {
  const { keyring } = call.keyspace
  const known = keyring.get(`s${kid}`)
  if (known === secret && keyring.get('current') === kid) {
    return { outcome: 'rotated', previous: undefined, removed: 0, replayed: true }
  }
  // A key that still counts would lose the end of its grace, a forgotten one come back.
  if (known !== undefined || keyring.has(`x${kid}`)) return refuse('rotation_conflict', { kid })
  const { previous, removed } = installKey(call, kid, secret, graceMs)
  return { outcome: 'rotated', previous, removed, replayed: false }
}
