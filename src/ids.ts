// Identifiers: how an execution carries its partition, and how digests and fresh ids are made.
import { hash, randomBytes } from 'node:crypto'
import { EngineError } from './errors.ts'

/** Identity of an execution: `<partition>-<26 characters>`, sortable by creation time. */
export type ExecutionId = string & { readonly brand?: 'ExecutionId' }

/** The name of a lane. */
export type LaneId = string

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz'
const executionPattern = /^(0|[1-9]\d{0,4})-([0-9a-hjkmnp-tv-z]{26})$/

/** The two parts of an execution id. */
export interface ExecutionIdParts {
  readonly partition: number
  /** The part that is unique inside the partition. */
  readonly local: string
}

/** Splits an execution id, or throws `invalid_input`. */
export function parseExecutionId(id: unknown): ExecutionIdParts {
  const match = typeof id === 'string' ? executionPattern.exec(id) : null
  if (match === null) {
    throw new EngineError('invalid_input', 'executionId is not an execution id', {
      details: { argument: 'executionId' },
    })
  }
  return { partition: Number(match[1]), local: match[2] as string }
}

export function formatExecutionId(partition: number, local: string): ExecutionId {
  return `${partition}-${local}`
}

/**
 * Makes the local part of new execution ids: 10 characters of time, 16 of randomness, growing
 * strictly within one maker so that work submitted in one millisecond keeps its order.
 */
export class LocalIdMaker {
  private lastMs = -1
  private lastRandom = 0n

  next(nowMs: number): string {
    if (nowMs > this.lastMs) {
      this.lastMs = nowMs
      this.lastRandom = randomBits()
    } else {
      this.lastRandom += 1n
    }
    return encode(BigInt(this.lastMs), 10) + encode(this.lastRandom, 16)
  }
}

function randomBits(): bigint {
  // 79 bits leave room to count up within one millisecond without overflow.
  return BigInt(`0x${randomBytes(10).toString('hex')}`) >> 1n
}

function encode(value: bigint, length: number): string {
  let text = ''
  let rest = value
  for (let position = 0; position < length; position++) {
    text = (alphabet[Number(rest & 31n)] as string) + text
    rest >>= 5n
  }
  return text
}

/** The local part of an id that follows from what it is for: the same parts, the same id. */
export function localIdOf(...parts: readonly string[]): string {
  const bytes = hash('sha256', parts.map((part) => `${part.length}:${part}`).join(''), 'hex')
  return encode(BigInt(`0x${bytes.slice(0, 33)}`), 26)
}

/** An unguessable id for a lease or a grant: 96 random bits. */
export function mintLeaseId(): string {
  return randomBytes(12).toString('base64url')
}

/** An unguessable id for a waitpoint, a signal or a resumption: 128 random bits. */
export function mintId(): string {
  return randomBytes(16).toString('base64url')
}

/** A 128-bit digest of several parts; lengths are mixed in, so that parts cannot run together. */
export function digest(...parts: readonly (string | Uint8Array)[]): string {
  const pieces: Uint8Array[] = []
  for (const part of parts) {
    // Whatever is neither text nor bytes is refused where arguments are checked.
    const bytes = part instanceof Uint8Array ? part : Buffer.from(String(part))
    pieces.push(Buffer.from(`${bytes.byteLength}:`), bytes)
  }
  return hash('sha256', Buffer.concat(pieces), 'base64url').slice(0, 22)
}

/** The partition where a bucket of a limit counts; Lua finds the same one. */
export function partitionOfBucket(bucket: string, partitionCount: number): number {
  return Buffer.from(hash('sha1', bucket, 'hex'), 'hex').readUInt32BE(0) % partitionCount
}

/** The partition that owns an idempotency key, so that its uniqueness is decided in one place. */
export function partitionOfDigest(keyDigest: string, partitionCount: number): number {
  return Buffer.from(keyDigest, 'base64url').readUInt32BE(0) % partitionCount
}
