// Waitpoint tokens: who holds one may signal that waitpoint, and nothing else.
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { EngineError } from '../errors.ts'
import { type ExecutionId, parseExecutionId } from '../ids.ts'
import { bounds } from '../limits.ts'
import { checkWhole } from './arguments.ts'
import { isKeyId, type Keyring, Secret, type SigningKey } from './keyring.ts'

/** What a token says: `<kid>.<executionId>.<attempt>.<waitpointId>.<mac>`. */
export interface TokenParts {
  readonly kid: string
  readonly executionId: ExecutionId
  readonly attempt: number
  readonly waitpointId: string
}

/** The longest token has 143 characters. */
const lengthMax = 143
const domain = 'holdfast waitpoint token 1'
const isWaitpointId = (text: unknown): text is string =>
  typeof text === 'string' && /^[\w-]{22}$/.test(text)

/** Stands in for keys that do not exist, so that asking for one takes as long as any other. */
const decoy = new Secret(randomBytes(32))

// One text for whatever is wrong, and nothing of what was sent: it may be nearly a token.
const invalid = (): EngineError => new EngineError('invalid_token', 'the token is not valid')

/** Lengths keep the parts apart, the domain keeps other uses of a secret apart. */
function macOf(secret: Secret, { kid, executionId, attempt, waitpointId }: TokenParts): string {
  const parts = [domain, kid, executionId, `${attempt}`, waitpointId]
  return secret.sign(parts.map((part) => `${Buffer.byteLength(part)}:${part}`).join(''))
}

/** Signs a token for one waitpoint of one attempt. */
export function mintToken(key: SigningKey, parts: Omit<TokenParts, 'kid'>): string {
  parseExecutionId(parts.executionId)
  checkWhole('attempt', parts.attempt, bounds.index)
  if (!isWaitpointId(parts.waitpointId) || !isKeyId(key.kid)) {
    throw new EngineError('invalid_input', 'the waitpoint id or the key id does not fit a token', {
      details: { argument: isKeyId(key.kid) ? 'waitpointId' : 'kid' },
    })
  }
  const { executionId, attempt, waitpointId } = parts
  const mac = macOf(key.secret, { kid: key.kid, executionId, attempt, waitpointId })
  return [key.kid, executionId, attempt, waitpointId, mac].join('.')
}

function partitioned(executionId: string): ExecutionId | undefined {
  try {
    parseExecutionId(executionId)
    return executionId
  } catch {
    return undefined
  }
}

function split(text: unknown): TokenParts & { readonly mac: string } {
  if (typeof text !== 'string' || text === '') {
    throw new EngineError('missing_token', 'there is no token')
  }
  const [kid, id, attemptText, waitpointId, mac, ...more] =
    text.length > lengthMax ? [] : text.split('.')
  const executionId = id === undefined ? undefined : partitioned(id)
  const attempt = /^(?:0|[1-9]\d{0,9})$/.test(attemptText ?? '') ? Number(attemptText) : -1
  if (!isKeyId(kid) || executionId === undefined || !isWaitpointId(waitpointId)) throw invalid()
  if (attempt < 0 || attempt > bounds.index.max || more.length > 0) throw invalid()
  if (mac === undefined || !/^[\w-]{43}$/.test(mac)) throw invalid()
  return { kid, executionId, attempt, waitpointId, mac }
}

/**
 * What a token says, whoever made it: not to be trusted before `verifyToken`. Throws
 * `missing_token` when there is none and `invalid_token` when it is not one.
 */
export function readToken(text: unknown): TokenParts {
  const { mac: _, ...parts } = split(text)
  return parts
}

/**
 * What a token says, if one of the keys signed it; throws like `readToken`, and `invalid_token`
 * when no key did. Whether that key still counts is decided by the server's clock.
 */
export function verifyToken(keyring: Keyring, text: unknown): TokenParts {
  const { mac, ...parts } = split(text)
  const key = keyring.keys.get(parts.kid)
  const expected = macOf(key?.secret ?? decoy, parts)
  // Compared as text: the last character of base64url has bits that bytes do not show.
  const isEqual = timingSafeEqual(Buffer.from(mac), Buffer.from(expected))
  if (key === undefined || !isEqual) throw invalid()
  return parts
}

/** How to speak of a token in logs: its key and the start of its SHA-256. */
export function tokenFingerprint(text: string): string {
  const start = createHash('sha256').update(text).digest('hex').slice(0, 16)
  try {
    return `${readToken(text).kid}:${start}`
  } catch {
    // What is not a token may be a part of one, so none of it is shown.
    return `?:${start}`
  }
}
