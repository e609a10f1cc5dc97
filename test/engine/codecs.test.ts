// A codec of the user's: everything that is stored goes through it, on both kinds of backend.
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { type Codec, type Engine, jsonCodec, task } from '../../src/index.ts'
import { refusal } from '../support/executions.ts'
import { freshNamespace, kinds, useEngines } from './engines.ts'

/** Encrypts with a key that the store never sees. */
function encrypting(key = randomBytes(32)): Codec {
  return {
    encode(value) {
      const iv = randomBytes(12)
      const cipher = createCipheriv('aes-256-gcm', key, iv)
      const text = Buffer.concat([cipher.update(jsonCodec.encode(value)), cipher.final()])
      return Buffer.concat([iv, cipher.getAuthTag(), text])
    },
    decode(bytes) {
      const all = Buffer.from(bytes)
      const decipher = createDecipheriv('aes-256-gcm', key, all.subarray(0, 12))
      decipher.setAuthTag(all.subarray(12, 28))
      const text = Buffer.concat([decipher.update(all.subarray(28)), decipher.final()])
      return jsonCodec.decode(text)
    },
  }
}

/** Not even text: bytes of every value, and the value is what follows a zero. */
const flipping: Codec = {
  encode: (value) => Buffer.from(jsonCodec.encode(value)).map((byte) => byte ^ 0xff),
  decode: (bytes) => jsonCodec.decode(Buffer.from(bytes).map((byte) => byte ^ 0xff)),
}

describe.each(kinds)('a codec on %s', (kind) => {
  const { open } = useEngines(kind)
  const echo = task({ name: 'echo', run: (_context, input: unknown) => input })

  async function storedBytes(engine: Engine): Promise<string> {
    const [claimed] = await engine.backend.claim('echo', [], { worker: 'spy' })
    return Buffer.from(claimed?.input ?? []).toString('latin1')
  }

  test.each([
    ['encrypts', encrypting()],
    ['makes bytes that are no text', flipping],
  ])('that %s carries every value there and back', async (_what, codec) => {
    const engine = await open({ codec })
    await engine.work([echo], { concurrency: 8 })
    for (const value of ['secret', 0, false, null, undefined, { a: ['ü', 1.5] }]) {
      const execution = await engine.submit(echo, value)
      expect(await execution.result()).toEqual(value)
    }
  })

  test('keeps what is stored from whoever does not have it', async () => {
    const engine = await open({ codec: encrypting() })
    await engine.submit(echo, 'attack at dawn')
    expect(await storedBytes(engine)).not.toContain('dawn')
  })

  test('gives the schema what the worker will see', async () => {
    const revive: Codec = {
      encode: (value) => Buffer.from((value as Date).toISOString()),
      decode: (bytes) => new Date(Buffer.from(bytes).toString()),
    }
    const engine = await open({ codec: revive })
    const later = task({
      name: 'later',
      input: z.date(),
      run: (_context, date) => new Date(date.getTime() + 1),
    })
    await engine.work([later])
    const execution = await engine.submit(later, new Date(41))
    expect(await execution.result()).toEqual(new Date(42))
  })

  test('that refuses a value refuses its submission', async () => {
    const codec: Codec = {
      ...jsonCodec,
      encode: () => {
        throw new Error('cannot seal')
      },
    }
    const engine = await open({ codec })
    const error = await refusal(engine.submit(echo, 1), 'invalid_input', { argument: 'input' })
    expect(error.message).toContain('cannot seal')
  })

  test('that gives something else than bytes is told so', async () => {
    const codec = { ...jsonCodec, encode: () => 'text' as unknown as Uint8Array }
    const engine = await open({ codec })
    await refusal(engine.submit(echo, 1), 'invalid_input')
  })
})

describe('engines with different keys', () => {
  const { open } = useEngines('valkey')
  const echo = task({ name: 'echo', run: (_context, input: unknown) => input })

  test('cannot read each other: executions fail for good, results stay sealed', async () => {
    const namespace = freshNamespace()
    const [one, other] = await Promise.all([
      open({ namespace, codec: encrypting() }),
      open({ namespace, codec: encrypting() }),
    ])
    const unreadable = await one.submit(echo, 'secret', { retry: { attempts: 5, delay: 1 } })
    const worker = await other.work([echo])
    await refusal(unreadable.result(), 'execution_failed', { failureClass: 'permanent' })
    await worker.stop()
    await one.work([echo])
    const sealed = await one.submit(echo, 'secret')
    expect(await sealed.result()).toBe('secret')
    await expect(other.execution(sealed.id).result()).rejects.toThrow()
  })
})
