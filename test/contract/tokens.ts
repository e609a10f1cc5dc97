// Tokens: who holds one may signal one waitpoint; keys come and go, and secrets never show.
import { createHash } from 'node:crypto'
import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { EngineError } from '../../src/errors.ts'
import { tokenFingerprint } from '../../src/persistence/token.ts'
import type { Open, OpenedBackend } from '../support/backends.ts'
import {
  claimOne,
  refusal,
  refusedWithoutTrace,
  stateOf,
  submitAndClaim,
  withoutTrace,
} from '../support/executions.ts'
import { Random } from '../support/random.ts'
import { openSigning, send, suspendClaimed, suspended } from '../support/suspensions.ts'

const secretOf = (name: string): string => createHash('sha256').update(name).digest('hex')

const deliver =
  ({ backend }: Pick<OpenedBackend, 'backend'>, token: string) =>
  () =>
    backend.deliverSignal({ token })

export function describeTokens(open: Open): void {
  describe('a token', () => {
    it('is for one waitpoint of one execution: others refuse it (S-W2, S-C5)', async () => {
      const opened = await openSigning(open, { partitions: 1 })
      const { backend } = opened
      const a = await suspended(opened)
      const b = await suspended(opened, { submission: { lane: 'other' } })
      const [mine, yours] = [a.waitpoints[0]!, b.waitpoints[0]!]
      for (const target of [
        { executionId: b.id },
        { waitpointId: yours.waitpointId },
        { executionId: b.id, waitpointId: yours.waitpointId },
        { executionId: b.id, waitpointId: mine.waitpointId },
      ]) {
        const call = () => backend.deliverSignal({ token: mine.token, ...target })
        await refusedWithoutTrace(opened, call, 'invalid_waitpoint_for_execution')
      }
      const target = { executionId: a.id, waitpointId: mine.waitpointId }
      await backend.deliverSignal({ token: mine.token, ...target })
      expect(await stateOf(backend, b.id)).toBe('suspended')
    })

    it('is the same for the same waitpoint, and another for each other (S-W19)', async () => {
      const opened = await openSigning(open)
      const { backend, clock } = opened
      const first = await submitAndClaim(backend, { retry: { attempts: 2, delayMs: 1 } })
      const options = { scope: 'run', waitpointId: 'w'.repeat(22) } as const
      const early = await backend.createWaitpoint(first.handle, 'key', undefined, options)
      expect(await backend.waitpointToken(first.executionId, early.waitpointId)).toBe(early.token)
      await backend.fail(first.handle, { message: 'oops' }, 'transient')
      await clock.advance(1)
      const second = await claimOne(backend)
      const late = await backend.createWaitpoint(second.handle, 'key')
      const [, id, attempt] = late.token.split('.')
      expect([id, attempt]).toEqual([second.executionId, '1'])
      const again = await backend.createWaitpoint(second.handle, 'key', undefined, options)
      expect(again).toMatchObject({ token: early.token, replayed: true })
    })

    it('counts for nothing when one character is another (S-W19)', async () => {
      const opened = await openSigning(open, { partitions: 1 })
      const { token, id } = await suspended(opened)
      const random = new Random('tokens')
      const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.'
      const before = await opened.dump()
      for (let at = 0; at < token.length; at++) {
        const other = random.one([...letters].filter((letter) => letter !== token[at]))
        const changed = token.slice(0, at) + other + token.slice(at + 1)
        const error = await deliver(opened, changed)().catch((thrown: unknown) => thrown)
        expect(error).toBeInstanceOf(EngineError)
        expect((error as EngineError).code).toBe('invalid_token')
      }
      expect(await opened.dump()).toEqual(before)
      expect(await stateOf(opened.backend, id)).toBe('suspended')
      expect(await send(opened, token)).toBe('resume_condition_satisfied')
    })

    it.each([
      ['', 'missing_token'],
      [undefined, 'missing_token'],
      [7, 'missing_token'],
      ['nonsense', 'invalid_token'],
      ['a.b.c.d.e', 'invalid_token'],
      ['.'.repeat(1000), 'invalid_token'],
      ['k1.', 'invalid_token'],
    ] as const)('is told apart from %j (S-W21)', async (token, code) => {
      const opened = await openSigning(open)
      const error = await refusedWithoutTrace(opened, deliver(opened, token as string), code)
      expect(error.family).toBe('Validation')
      expect(error.retryable).toBe(false)
    })

    it('of a waitpoint that does not exist is no different from a wrong one (S-W21)', async () => {
      const opened = await openSigning(open, { partitions: 1 })
      const { token } = await suspended(opened)
      const errors: unknown[] = []
      for (const [part, value] of [
        [0, 'k9'],
        [1, `0-${'0'.repeat(26)}`],
        [1, `7-${'0'.repeat(26)}`],
        [2, '1'],
        [3, 'x'.repeat(22)],
        [4, 'x'.repeat(43)],
      ] as const) {
        const parts = token.split('.')
        parts[part] = value
        const call = deliver(opened, parts.join('.'))
        const error = await refusedWithoutTrace(opened, call, 'invalid_token')
        errors.push({ message: error.message, details: error.details, cause: error.cause })
      }
      expect(new Set(errors.map((error) => JSON.stringify(error))).size).toBe(1)
    })

    it('works in a query of an address as it is', async () => {
      const opened = await openSigning(open)
      const { token } = await suspended(opened)
      expect(encodeURIComponent(token)).toBe(token)
    })
  })

  describe('a signing key', () => {
    it('is made once, however many begin at the same time', async () => {
      const opened = await open({ partitions: 1 })
      const { backend: other } = await opened.peer()
      const suspensions = []
      for (const lane of ['a', 'b', 'c', 'd']) {
        suspensions.push(await submitAndClaim(opened.backend, { lane }))
      }
      const tokens = await Promise.all(
        suspensions.map(async ({ handle }, at) => {
          const backend = at % 2 === 0 ? opened.backend : other
          return (await backend.createWaitpoint(handle, 'key')).token
        }),
      )
      for (const token of tokens) {
        await send({ backend: other }, token)
        await send(opened, token)
      }
    })

    it('in its grace counts through any number of rotations (S-W18, S-C13, S-R11)', async () => {
      const opened = await openSigning(open)
      const { backend, clock } = opened
      const { backend: other } = await opened.peer()
      const plan = { condition: { kind: 'operator' } } as const
      const a = await suspended(opened, plan)
      await backend.rotateSecret('B', secretOf('b'), 1000)
      await clock.advance(400)
      await backend.rotateSecret('C', secretOf('c'), 1000)
      const { token } = await suspended(opened, { ...plan, submission: { lane: 'other' } })
      expect(token.split('.')[0]).toBe('C')
      for (const peer of [backend, other]) {
        await send({ backend: peer }, a.token)
        await send({ backend: peer }, token)
      }
      await clock.advance(600)
      await send(opened, a.token)
      // Of the last millisecond of its grace a key still counts, of the next it does not.
      await clock.advance(1)
      await refusedWithoutTrace(opened, deliver(opened, a.token), 'token_expired')
      await refusedWithoutTrace(opened, deliver({ backend: other }, a.token), 'token_expired')
      await send(opened, token)
      // Once another key comes, an expired one is forgotten for good.
      await backend.rotateSecret('D', secretOf('d'), 1000)
      await refusal(deliver(opened, a.token)(), 'invalid_token')
      await refusal(deliver({ backend: other }, a.token)(), 'invalid_token')
      await send(opened, token)
      const { waitpointId } = a.waitpoints[0]!
      // A wait may outlive its key: whoever operates the engine gets a token of the current one.
      const renewed = await backend.waitpointToken(a.id, waitpointId)
      expect(renewed).toMatch(/^D\./)
      await send(opened, renewed)
      expect((await backend.listWaitpoints(a.id)).items).toMatchObject([
        { waitpointId, state: 'active', tokenFingerprint: undefined },
      ])
    })

    it('may be given no grace at all', async () => {
      const opened = await openSigning(open)
      const { backend, clock } = opened
      const { token } = await suspended(opened, { condition: { kind: 'operator' } })
      await backend.rotateSecret('B', secretOf('b'), 0)
      await send(opened, token)
      await clock.advance(1)
      await refusal(deliver(opened, token)(), 'token_expired')
    })

    it('counts for a day after it was replaced, unless told otherwise', async () => {
      const opened = await openSigning(open)
      const { backend, clock } = opened
      const { token } = await suspended(opened, { condition: { kind: 'operator' } })
      await backend.rotateSecret('B', secretOf('b'))
      await clock.advance(86_400_000)
      await send(opened, token)
      await clock.advance(1)
      await refusal(deliver(opened, token)(), 'token_expired')
    })

    it('is installed once; its id never stands for another (S-W18, S-C13)', async () => {
      const opened = await openSigning(open)
      const { backend, clock } = opened
      expect(await backend.rotateSecret('B', secretOf('b'), 1000)).toEqual({ replayed: false })
      const again = () => backend.rotateSecret('B', secretOf('b'), 5)
      expect(await withoutTrace(opened, again)).toEqual({ replayed: true })
      const { token } = await suspended(opened, { condition: { kind: 'operator' } })
      const conflict = async (kid: string, secret: string) => {
        const call = () => backend.rotateSecret(kid, secret, 1000)
        await refusedWithoutTrace(opened, call, 'rotation_conflict', { kid })
      }
      await conflict('B', secretOf('x'))
      await backend.rotateSecret('C', secretOf('c'), 1000)
      await conflict('B', secretOf('b'))
      await conflict('B', secretOf('x'))
      await clock.advance(1000)
      await send(opened, token)
      await clock.advance(1)
      await conflict('B', secretOf('b'))
      // Also when it is long forgotten: some process may still know what it stood for.
      await backend.rotateSecret('D', secretOf('d'), 1000)
      await backend.rotateSecret('E', secretOf('e'), 1000)
      await conflict('B', secretOf('b'))
      await conflict('B', secretOf('x'))
      await refusal(deliver(opened, token)(), 'invalid_token')
    })

    it('signs what is created while it is replaced (S-R11)', async () => {
      const opened = await openSigning(open, { partitions: 1 })
      const { backend } = opened
      const { backend: other } = await opened.peer()
      const plan = { condition: { kind: 'operator' } } as const
      let claimed = await submitAndClaim(backend)
      for (let round = 0; round < 5; round++) {
        const [early] = await Promise.all([
          backend.createWaitpoint(claimed.handle, 'early', undefined, { scope: 'run' }),
          other.rotateSecret(`a${round}`, secretOf(`a${round}`), 1000),
        ])
        const [{ token, id }] = await Promise.all([
          suspendClaimed(opened, claimed, plan),
          other.rotateSecret(`b${round}`, secretOf(`b${round}`), 1000),
        ])
        for (const peer of [backend, other]) {
          await send({ backend: peer }, early.token)
          await send({ backend: peer }, token)
        }
        await backend.resumeExecution(id)
        claimed = await claimOne(backend)
      }
    })

    it.each([
      ['31 bytes', Buffer.alloc(31, 'ab')],
      ['31 bytes in hex', Buffer.alloc(31, 'ab').toString('hex')],
      ['nothing', ''],
      ['one byte', 'ff'],
      ['text of 31 characters', 'not-hex-'.repeat(4).slice(1)],
      ['an odd number of hex digits', `${secretOf('a')}f`],
      ['one byte over and over', Buffer.alloc(32)],
      ['what is neither text nor bytes', 7 as unknown as string],
    ])('is never %s (S-W18, S-C13)', async (_what, secret) => {
      const opened = await openSigning(open)
      const call = () => opened.backend.rotateSecret('B', secret)
      const error = await refusedWithoutTrace(opened, call, 'invalid_secret')
      const text = typeof secret === 'string' && secret !== '' ? secret : 'never'
      // Where the project lies is no secret, and may well contain so short a text.
      const told = inspect(error).replace(/^ +at .*$/gm, '')
      expect(told).not.toContain(text)
    })

    it.each([
      ['32 bytes', Buffer.from(secretOf('a'), 'hex')],
      ['32 bytes in hex', secretOf('a')],
      ['text of 32 characters', 'not-hex-'.repeat(4)],
      ['128 bytes', Buffer.from('abcd'.repeat(32))],
    ])('may be %s', async (_what, secret) => {
      const opened = await openSigning(open)
      await opened.backend.rotateSecret('B', secret)
      const { token } = await suspended(opened)
      expect(token.startsWith('B.')).toBe(true)
      await send({ backend: (await opened.peer()).backend }, token)
    })

    it('of more than 128 bytes is refused, and not shown', async () => {
      const opened = await openSigning(open)
      const secret = Buffer.from('abc'.repeat(43))
      const call = () => opened.backend.rotateSecret('B', secret)
      const error = await refusedWithoutTrace(opened, call, 'invalid_input', { argument: 'secret' })
      const text = inspect(error, { depth: 20 })
      expect(text).not.toContain(secret.toString('base64url').slice(0, 20))
      expect(text).not.toContain('abcabc')
    })

    it.each<[string, string, number | undefined]>([
      ['an empty id', '', undefined],
      ['an id of 33 letters', 'k'.repeat(33), undefined],
      ['an id with a dot', 'k.1', undefined],
      ['a negative grace', 'B', -1],
      ['a grace over a year and a day', 'B', 366 * 86_400_000 + 1],
      ['a fraction', 'B', 0.5],
    ])('is refused with %s', async (_what, kid, graceMs) => {
      const opened = await openSigning(open)
      const call = () => opened.backend.rotateSecret(kid, secretOf('a'), graceMs)
      await refusedWithoutTrace(opened, call, 'invalid_input')
    })
  })

  describe('nothing secret shows', () => {
    it('in what readers get: a fingerprint stands for the token', async () => {
      const opened = await openSigning(open)
      const { backend } = opened
      const { id, token, claimed } = await suspended(opened)
      const mac = token.split('.')[4] as string
      await send(opened, token)
      const shown = [
        await backend.describeExecution(id),
        await backend.listWaitpoints(id, { withSignals: true }),
        await backend.listSignals(id, 0, 10),
        await backend.observeSignals(claimed.handle),
        await backend.listExecutions(Number(id.split('-')[0]), undefined, 10),
      ]
      const text = inspect(shown, { depth: 20 })
      expect(text).not.toContain(mac)
      expect(text).not.toContain(claimed.leaseId)
      const [point] = (await backend.listWaitpoints(id)).items
      expect(point?.tokenFingerprint).toBe(tokenFingerprint(token))
      expect(mac).not.toContain(point?.tokenFingerprint?.split(':')[1])
    })

    it('in refusals of what is nearly a token', async () => {
      const opened = await openSigning(open)
      const { backend } = opened
      const { token, id } = await suspended(opened)
      const [kid, , , , mac = ''] = token.split('.')
      await backend.resumeExecution(id)
      const errors = [
        await refusal(deliver(opened, token)(), 'waitpoint_closed'),
        await refusal(deliver(opened, `${token}x`)(), 'invalid_token'),
        await refusal(deliver(opened, token.replace(`${kid}.`, 'k9.'))(), 'invalid_token'),
        await refusal(
          backend.deliverSignal({ token, executionId: `0-${'0'.repeat(26)}` }),
          'invalid_waitpoint_for_execution',
        ),
      ]
      for (const error of errors) {
        const text = inspect(error, { depth: 20 }) + JSON.stringify(error) + error.stack
        expect(text).not.toContain(mac)
      }
    })

    it('when a backend is inspected, or what is stored is read', async () => {
      const opened = await openSigning(open)
      const { backend, store } = opened
      const secret = Buffer.from(secretOf('secret'), 'hex')
      await backend.rotateSecret('B', secret)
      const { token } = await suspended(opened)
      await send(opened, token)
      const mac = token.split('.')[4] as string
      // What this store remembers for tests is no part of the engine.
      store.calls.splice(0)
      const spellings = ['hex', 'base64', 'base64url', 'latin1', 'utf8'] as const
      const text =
        inspect(backend, { depth: 30, showHidden: true }) + JSON.stringify(await keysOf(backend))
      for (const spelling of spellings) expect(text).not.toContain(secret.toString(spelling))
      // Tokens are not stored at all: they are signed anew whenever they are needed.
      const stored = JSON.stringify([...(await opened.dump())])
      for (const spelling of ['utf8', 'hex'] as const) {
        expect(stored).not.toContain(Buffer.from(mac).toString(spelling))
      }
    })
  })
}

/** What a careless logger would write of a backend. */
async function keysOf(backend: OpenedBackend['backend']): Promise<unknown> {
  const seen = new WeakSet<object>()
  const text = JSON.stringify(backend, (_key, value: unknown) => {
    if (typeof value === 'bigint') return String(value)
    if (typeof value !== 'object' || value === null) return value
    if (seen.has(value)) return undefined
    seen.add(value)
    return value instanceof Map ? [...value] : value
  })
  return text
}
