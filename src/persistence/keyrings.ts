// The signing keys of every partition, as this process knows them.
import { randomBytes } from 'node:crypto'
import { corruptKey, wholeNumber } from './corruption.ts'
import { isKeyId, type KeptKey, type Keyring, Secret } from './keyring.ts'
import type { Store } from './store.ts'

/** The key that a namespace signs with until somebody installs another one. */
const firstKid = 'k1'

/** Reads keyrings when they are needed first, and again when a token names an unknown key. */
export class Keyrings {
  private readonly store: Store
  private readonly known = new Map<number, Promise<Keyring>>()

  constructor(store: Store) {
    this.store = store
  }

  /** The partition's keys; a first one is made when there is none. */
  of(partition: number): Promise<Keyring> {
    return this.known.get(partition) ?? this.read(partition)
  }

  /** Asks the store again. */
  read(partition: number): Promise<Keyring> {
    const reading = this.load(partition)
    this.known.set(partition, reading)
    // A failed reading is no knowledge.
    reading.catch(() => {
      if (this.known.get(partition) === reading) this.known.delete(partition)
    })
    return reading
  }

  private async load(partition: number): Promise<Keyring> {
    const found = await this.entries(partition)
    if (Object.keys(found).length > 0) return keyringOf(found)
    const secret = randomBytes(32).toString('base64url')
    await this.store.call(partition, 'keyring.seed', { kid: firstKid, secret })
    return keyringOf(await this.entries(partition))
  }

  private async entries(partition: number): Promise<Readonly<Record<string, string>>> {
    const answer = await this.store.call(partition, 'keyring.read', {})
    return answer.outcome === 'read' ? answer.entries : {}
  }
}

/** The keys and when they expire, or `corruption`: what is damaged must not sign or let pass. */
function keyringOf(entries: Readonly<Record<string, string>>): Keyring {
  const refuse = (field: string, why: string): never => corruptKey('keyring', field, why)
  const keys: [kid: string, key: KeptKey][] = []
  for (const [name, value] of Object.entries(entries)) {
    const kid = name.slice(1)
    if (name === 'current' || (name.startsWith('x') && isKeyId(kid))) continue
    if (!name.startsWith('s') || !isKeyId(kid)) refuse(name, 'unknown')
    if (!/^[\w-]{43,171}$/.test(value)) refuse(name, 'no secret')
    const secret = new Secret(Buffer.from(value, 'base64url'))
    const expires = entries[`x${kid}`]
    if (expires === undefined) keys.push([kid, { secret }])
    else {
      const expiresAtMs = wholeNumber(expires) ?? refuse(`x${kid}`, 'no whole number')
      keys.push([kid, { secret, expiresAtMs }])
    }
  }
  const { current = '' } = entries
  if (entries[`s${current}`] === undefined) refuse('current', 'has no secret')
  return { current, keys: new Map(keys) }
}
