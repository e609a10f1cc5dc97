// Waitpoint tokens and the keys behind them: what is accepted, for how long, and what never shows.
import { inspect } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type ErrorCode, isEngineError } from '../../src/errors.ts'
import { bounds } from '../../src/limits.ts'
import {
  currentKey,
  isKeyAlive,
  type Keyring,
  Secret,
  type SigningKey,
  secretBytes,
} from '../../src/persistence/keyring.ts'
import {
  mintToken,
  readToken,
  type TokenParts,
  tokenFingerprint,
  verifyToken,
} from '../../src/persistence/token.ts'

const keyringOf = ({ kid, secret }: SigningKey): Keyring => {
  return { current: kid, keys: new Map([[kid, { secret }]]) }
}
const parseSecret = (given: string | Uint8Array) => new Secret(secretBytes(given))
const secretOf = (letter: string) => parseSecret(`${letter} is a secret of more than 32 bytes`)
const ring = keyringOf({ kid: 'k1', secret: secretOf('a') })
const parts = {
  executionId: '12-01j9z3k4m5n6p7q8r9s0t1v2w3',
  attempt: 3,
  waitpointId: 'AAAAAAAAAAAAAAAAAAAA_-',
}
const token = mintToken(currentKey(ring), parts)

function thrown(act: () => unknown): { readonly code: ErrorCode; readonly text: string } {
  try {
    act()
  } catch (error) {
    if (!isEngineError(error)) throw error
    const text = [String(error), error.stack, JSON.stringify(error), inspect(error)].join('\n')
    return { code: error.code, text }
  }
  return { code: 'invariant_broken', text: 'nothing was thrown' }
}

const refusal = (text: unknown, keyring: Keyring = ring) =>
  thrown(() => verifyToken(keyring, text)).code

const executionIds = fc
  .tuple(fc.nat(1023), fc.stringMatching(/^[0-9a-hjkmnp-tv-z]{26}$/))
  .map(([partition, local]) => `${partition}-${local}`)
const tokenParts = fc.record({
  executionId: executionIds,
  attempt: fc.oneof(fc.nat(3), fc.integer(bounds.index)),
  waitpointId: fc.stringMatching(/^[\w-]{22}$/),
})
const kids = fc.stringMatching(/^[\w-]{1,32}$/)
const secrets = fc.uint8Array({ minLength: 32, maxLength: 80 }).filter((b) => new Set(b).size > 1)

describe('A token', () => {
  it('is one segment of an address, and has a length that is known beforehand', () => {
    expect(token).toMatch(/^k1\.12-\w{26}\.3\.[\w-]{22}\.[\w-]{43}$/)
    expect(encodeURIComponent(token)).toBe(token)
    const longest = {
      ...{ executionId: `99999-${'z'.repeat(26)}`, attempt: bounds.index.max },
      waitpointId: parts.waitpointId,
    }
    const key = { kid: 'k'.repeat(32), secret: secretOf('a') }
    expect(verifyToken(keyringOf(key), mintToken(key, longest))).toMatchObject(longest)
  })

  it('says whatever was signed, and is the same each time', () => {
    const property = fc.property(kids, secrets, tokenParts, (kid, bytes, any) => {
      const key = { kid, secret: parseSecret(bytes) }
      const minted = mintToken(key, any)
      expect(mintToken(key, any)).toBe(minted)
      expect(verifyToken(keyringOf(key), minted)).toEqual({ kid, ...any })
      expect(readToken(minted)).toEqual({ kid, ...any })
    })
    fc.assert(property, { numRuns: 300 })
  })

  it.each([undefined, null, '', 7, {}, Buffer.from(token)])('is missing: %s', (text) => {
    expect(refusal(text)).toBe('missing_token')
    expect(thrown(() => readToken(text)).code).toBe('missing_token')
  })

  const [kid, id, attempt, waitpoint, mac] = token.split('.') as [
    ...[string, string, string, string, string],
  ]
  it.each([
    ' ',
    'k1',
    '....',
    `${token}.`,
    `.${token}`,
    ` ${token}`,
    `${token}\n`,
    `${token}=`,
    [kid, id, attempt, waitpoint].join('.'),
    ['', id, attempt, waitpoint, mac].join('.'),
    ['k'.repeat(33), id, attempt, waitpoint, mac].join('.'),
    ['k 1', id, attempt, waitpoint, mac].join('.'),
    ['k:1', id, attempt, waitpoint, mac].join('.'),
    [kid, `0${id}`, attempt, waitpoint, mac].join('.'),
    [kid, id.toUpperCase(), attempt, waitpoint, mac].join('.'),
    [kid, id, '03', waitpoint, mac].join('.'),
    [kid, id, '-3', waitpoint, mac].join('.'),
    [kid, id, '3e0', waitpoint, mac].join('.'),
    [kid, id, '4294967296', waitpoint, mac].join('.'),
    [kid, id, attempt, waitpoint.slice(1), mac].join('.'),
    [kid, id, attempt, waitpoint, mac.slice(1)].join('.'),
    [kid, id, attempt, waitpoint, `${mac}A`].join('.'),
    'x'.repeat(1_000_000),
  ])('is invalid by its shape (%#)', (text) => {
    expect(refusal(text)).toBe('invalid_token')
    expect(thrown(() => readToken(text)).code).toBe('invalid_token')
  })

  it('is invalid with any bit of it flipped', () => {
    const bytes = Buffer.from(token)
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = Buffer.from(bytes)
      flipped.writeUInt8(flipped.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
      expect(refusal(flipped.toString('latin1'))).toBe('invalid_token')
    }
  })

  it('is invalid with any other last character, although some spell the same bytes', () => {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    for (const last of alphabet) {
      const text = token.slice(0, -1) + last
      if (text !== token) expect(refusal(text)).toBe('invalid_token')
    }
  })

  it('of one execution, attempt and waitpoint is none of another', () => {
    const keys = new Map(['k1', 'k2'].map((name) => [name, { secret: secretOf('a') }]))
    const shared: Keyring = { current: 'k1', keys }
    const property = fc.property(tokenParts, tokenParts, fc.nat(15), (one, other, mix) => {
      const says = (chosen: TokenParts) =>
        [chosen.kid, chosen.executionId, chosen.attempt, chosen.waitpointId].join('.')
      const from = { kid: 'k1', ...one }
      // Any mixture of the two, and the other key although it has the same secret.
      const forged = {
        kid: mix & 1 ? 'k2' : 'k1',
        executionId: (mix & 2 ? other : one).executionId,
        attempt: (mix & 4 ? other : one).attempt,
        waitpointId: (mix & 8 ? other : one).waitpointId,
      }
      fc.pre(says(forged) !== says(from))
      const minted = mintToken(currentKey(shared), one)
      expect(refusal(says(forged) + minted.slice(-44), shared)).toBe('invalid_token')
    })
    fc.assert(property, { numRuns: 500 })
  })

  it('is invalid under an unknown key in the same words as under another secret', () => {
    const other = { kid: 'k1', secret: secretOf('b') }
    const unknown = mintToken({ kid: 'k9', secret: secretOf('a') }, parts)
    const messages = [mintToken(other, parts), unknown, 'nonsense'].map((text) => {
      const { code, text: said } = thrown(() => verifyToken(ring, text))
      return [code, said.split('\n')[0]]
    })
    expect(new Set(messages.map(String)).size).toBe(1)
  })

  it.each([
    { ...parts, executionId: 'x' },
    { ...parts, attempt: -1 },
    { ...parts, attempt: 1.5 },
    { ...parts, waitpointId: 'short' },
  ])('is not minted for %j', (wrong) => {
    expect(thrown(() => mintToken(currentKey(ring), wrong)).code).toBe('invalid_input')
  })

  it('is not minted by a key without a proper id', () => {
    const key = { kid: 'k.1', secret: secretOf('a') }
    expect(thrown(() => mintToken(key, parts)).code).toBe('invalid_input')
  })

  it('has a fingerprint that shows its key and nothing else of it', () => {
    expect(tokenFingerprint(token)).toMatch(/^k1:[0-9a-f]{16}$/)
    const other = mintToken(currentKey(ring), { ...parts, attempt: 4 })
    expect(tokenFingerprint(token)).not.toBe(tokenFingerprint(other))
    expect(tokenFingerprint(token.slice(-50))).toMatch(/^\?:[0-9a-f]{16}$/)
  })
})

describe('A key', () => {
  const next = (kid: string, secret = kid) => ({ kid, secret: secretOf(secret) })
  const tokenOf = (keyring: Keyring) => mintToken(currentKey(keyring), parts)

  it('is good until its grace is over, to the millisecond', () => {
    const keys = new Map([
      ['a', { secret: secretOf('a'), expiresAtMs: 1000 }],
      ['b', { secret: secretOf('b') }],
    ])
    const b = { current: 'b', keys }
    expect(isKeyAlive(b, 'a', 1000)).toBe(true)
    expect(isKeyAlive(b, 'a', 1001)).toBe(false)
    expect(isKeyAlive(b, 'b', Number.MAX_SAFE_INTEGER)).toBe(true)
    // Who signed it is one question, whether that still counts another.
    for (const key of [next('a'), next('b')]) {
      expect(verifyToken(b, tokenOf(keyringOf(key)))).toMatchObject({ kid: key.kid })
    }
  })

  it('that is not current and never expires is not trusted', () => {
    const keys = new Map([...ring.keys, ['k2', { secret: secretOf('b') }]])
    expect(isKeyAlive({ current: 'k2', keys }, 'k1', 0)).toBe(false)
    expect(isKeyAlive({ current: 'k2', keys }, 'gone', 0)).toBe(false)
  })

  it('that is missing is said to be', () => {
    expect(thrown(() => currentKey({ current: 'a', keys: new Map() })).code).toBe('invalid_secret')
  })
})

describe('A secret', () => {
  it('is at least 32 bytes, spelt in hexadecimal digits or as they are', () => {
    const hex = 'b1'.repeat(31)
    expect(secretBytes(`${hex}0f`)).toEqual(Buffer.from(`${hex}0f`, 'hex'))
    expect(secretBytes(`${hex}0F`)).toEqual(secretBytes(`${hex}0f`))
    const wrong = [hex, `${hex}0`, '', 'short', 'ü'.repeat(15), 'x'.repeat(40), Buffer.alloc(64)]
    for (const given of [...wrong, undefined as never, 7 as never]) {
      expect(thrown(() => parseSecret(given)).code).toBe('invalid_secret')
    }
  })

  it('shows nowhere: not inspected, not in JSON, not in an error', () => {
    const text = 'correct horse battery staple, again and again'
    const secret = parseSecret(text)
    const keyring = keyringOf({ kid: 'k1', secret })
    const shown = [
      inspect(secret, { showHidden: true, depth: 9 }),
      inspect(keyring, { showHidden: true, depth: 9 }),
      inspect(currentKey(keyring), { showHidden: true, depth: 9 }),
      JSON.stringify([secret, keyring, currentKey(keyring), [...keyring.keys]]),
      String(secret),
      thrown(() => parseSecret(text.slice(0, 31))).text,
      thrown(() => verifyToken(keyring, token)).text,
    ].join('\n')
    for (const spelling of ['utf8', 'hex', 'base64', 'base64url'] as const) {
      expect(shown).not.toContain(Buffer.from(text).toString(spelling).slice(0, 12))
    }
    expect(shown).not.toContain([...Buffer.from(text)].slice(0, 4).join(','))
    expect(shown).not.toContain(token.slice(-43))
    expect(shown).not.toContain(parts.waitpointId)
  })
})
