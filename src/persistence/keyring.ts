// The keys that sign waitpoint tokens: secrets that never show, and how one key follows another.
import { createHmac, createSecretKey, type KeyObject } from 'node:crypto'
import { EngineError } from '../errors.ts'

const secretBytesMin = 32

/** Bytes to sign with. Nothing prints them: neither inspection nor JSON nor an error. */
export class Secret {
  readonly #key: KeyObject

  constructor(bytes: Uint8Array) {
    this.#key = createSecretKey(bytes)
  }

  /** HMAC-SHA-256 of a message, as 43 characters of base64url. */
  sign(message: string): string {
    return createHmac('sha256', this.#key).update(message).digest('base64url')
  }
}

/** A key under its id, ready to sign. */
export interface SigningKey {
  /** Up to 32 letters, digits, `_` and `-`. */
  readonly kid: string
  readonly secret: Secret
}

export interface KeptKey {
  readonly secret: Secret
  readonly expiresAtMs?: number
}

/** All keys whose tokens are accepted: the current one for ever, others until they expire. */
export interface Keyring {
  readonly current: string
  readonly keys: ReadonlyMap<string, KeptKey>
}

/** Whether `kid` may name a key: it stands in tokens, and tokens stand in addresses. */
export const isKeyId = (kid: unknown): kid is string =>
  typeof kid === 'string' && /^[\w-]{1,32}$/.test(kid)

function bytesOf(given: unknown): Uint8Array {
  if (typeof given !== 'string') return given instanceof Uint8Array ? given : new Uint8Array()
  if (!/^[0-9a-f]*$/i.test(given)) return Buffer.from(given)
  // Half a byte is missing: whoever wrote this lost something on the way.
  return given.length % 2 === 0 ? Buffer.from(given, 'hex') : new Uint8Array()
}

/**
 * The bytes of a secret of at least 32 bytes, or `invalid_secret`.
 *
 * Text of hexadecimal digits stands for the bytes that it spells, other text for its own bytes.
 */
export function secretBytes(given: string | Uint8Array): Uint8Array {
  const bytes = bytesOf(given)
  if (bytes.byteLength < secretBytesMin) {
    const details = { bytes: bytes.byteLength, bytesMin: secretBytesMin }
    throw new EngineError('invalid_secret', 'the secret is shorter than 32 bytes', { details })
  }
  // Memory that nobody filled, above all.
  if (bytes.every((byte) => byte === bytes[0])) {
    throw new EngineError('invalid_secret', 'the secret repeats one byte')
  }
  return bytes
}

/** The key that signs new tokens. */
export function currentKey({ current, keys }: Keyring): SigningKey {
  const key = keys.get(current)
  if (key !== undefined) return { kid: current, secret: key.secret }
  throw new EngineError('invalid_secret', `key ${current} is current but has no secret`)
}

/** Whether tokens of a key are still accepted; one that is neither current nor expires is not. */
export function isKeyAlive({ current, keys }: Keyring, kid: string, nowMs: number): boolean {
  return kid === current || (keys.get(kid)?.expiresAtMs ?? -1) >= nowMs
}
