// The keys that sign waitpoint tokens; the twin of lua/lib/keyring.lua.
import type { CallContext } from './call-context.ts'

/** What is wrong with a key now, as the code of a refusal; undefined when it counts. */
export function keyProblem({ keyspace, nowMs }: CallContext, kid: string): string | undefined {
  const { keyring } = keyspace
  if (!keyring.has(`s${kid}`)) return 'invalid_token'
  if (keyring.get('current') === kid) return undefined
  // Of the last millisecond of its grace a key still counts.
  return Number(keyring.get(`x${kid}`) ?? 0) < nowMs ? 'token_expired' : undefined
}

/** Whether new tokens may be signed with it: those of a replaced key would die with its grace. */
export function isCurrentKey({ keyspace }: CallContext, kid: string): boolean {
  return keyspace.keyring.get('current') === kid
}

/**
 * Installs a key as the current one; the one before it counts until its grace is over, and secrets
 * whose grace is over are forgotten. Their ids stay taken: some process may still know the secret.
 */
export function installKey(
  { keyspace, nowMs }: CallContext,
  kid: string,
  secret: string,
  graceMs: number,
): { readonly previous: string | undefined; readonly removed: number } {
  const { keyring } = keyspace
  const over = [...keyring.entries()]
    .filter(([name, value]) => name.startsWith('x') && Number(value) < nowMs)
    .map(([name]) => `s${name.slice(1)}`)
    .filter((name) => keyring.has(name))
  for (const name of over) keyring.delete(name)
  const previous = keyring.get('current')
  if (previous !== undefined) keyring.set(`x${previous}`, String(nowMs + graceMs))
  keyring.set(`s${kid}`, secret)
  keyring.set('current', kid)
  return { previous, removed: over.length }
}
