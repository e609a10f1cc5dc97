// The emitter of one attempt, when the store is not as it expects.
import { expect, onTestFinished, test } from 'vitest'
import { Emitter } from '../../src/engine/emitter.ts'
import { jsonCodec } from '../../src/engine/json-codec.ts'
import { EngineError } from '../../src/errors.ts'
import type { ClaimedExecution, EngineBackend } from '../../src/persistence/backend.ts'
import { openEmbeddedStore } from '../../src/persistence/embedded/embedded-store.ts'
import type { FramePage } from '../../src/persistence/frames.ts'
import { createBackend } from '../../src/persistence/store-backend.ts'
import { frame, readAll, refusal, submitAndClaim, textsOf } from '../support/executions.ts'

/** A backend under an attempt; `change` replaces some of its operations as the emitter sees it. */
async function open(
  change: (backend: EngineBackend) => Partial<EngineBackend> = () => ({}),
  kind: 'fresh' | 'resumed' = 'fresh',
) {
  const backend = createBackend(await openEmbeddedStore())
  onTestFinished(() => backend.close())
  const fresh = await submitAndClaim(backend)
  const claimed: ClaimedExecution = { ...fresh, handle: { ...fresh.handle, kind } }
  const changed: EngineBackend = Object.assign(Object.create(backend), change(backend))
  const emitter = new Emitter(changed, claimed, jsonCodec)
  return { backend, claimed, emitter }
}

const emitAll = (emitter: Emitter, texts: readonly string[]) =>
  Promise.all(texts.map((text) => emitter.emit('text', text)))

test('It asks a resumed attempt once how far its stream has got', async () => {
  let asked = 0
  const { backend, claimed, emitter } = await open(
    (real) => ({
      readStream: (...args) => {
        asked += 1
        return real.readStream(...args)
      },
    }),
    'resumed',
  )
  await backend.appendFrame(claimed.handle, frame('before'))
  expect(await emitAll(emitter, ['a', 'b'])).toEqual([2, 3])
  expect(await emitAll(emitter, ['c'])).toEqual([4])
  expect(asked).toBe(1)
})

test('It begins at 1 in a new attempt, without asking', async () => {
  const { emitter } = await open(() => ({
    readStream: () => expect.fail('there is nothing to ask for'),
  }))
  expect(await emitAll(emitter, ['a', 'b'])).toEqual([1, 2])
})

test('It finds its number again when the stream is shorter than it was', async () => {
  let lie = 5
  const { backend, claimed, emitter } = await open(
    (real) => ({
      readStream: async (...args): Promise<FramePage> => {
        const page = await real.readStream(...args)
        const frameCount = page.frameCount + lie
        lie = 0
        return { ...page, frameCount }
      },
    }),
    'resumed',
  )
  expect(await emitAll(emitter, ['a', 'b', 'c'])).toEqual([1, 2, 3])
  expect(textsOf(await readAll(backend, claimed.executionId))).toEqual(['a', 'b', 'c'])
})

test('It rejects the frame whose fate is unknown, and goes on with those after it', async () => {
  let lost = 2
  const { backend, claimed, emitter } = await open((real) => ({
    appendFrame: (handle, sent) => {
      lost -= 1
      if (lost !== 0) return real.appendFrame(handle, sent)
      return Promise.reject(new EngineError('connection_timeout', 'no answer'))
    },
  }))
  const first = emitter.emit('text', 'a')
  const second = emitter.emit('text', 'b')
  const third = emitter.emit('text', 'c')
  await refusal(second, 'connection_timeout')
  expect(await Promise.all([first, third])).toEqual([1, 2])
  expect(textsOf(await readAll(backend, claimed.executionId))).toEqual(['a', 'c'])
})

test('It keeps the order of what is emitted while a batch is on its way', async () => {
  const { backend, claimed, emitter } = await open()
  const texts = Array.from({ length: 500 }, (_, at) => String(at))
  const sent: Promise<number>[] = []
  for (const text of texts) {
    sent.push(emitter.emit('text', text))
    if (Number(text) % 50 === 0) await Promise.resolve()
  }
  await Promise.all(sent)
  expect(textsOf(await readAll(backend, claimed.executionId))).toEqual(texts)
})

test('It rejects everything once the lease is gone, without asking again and again', async () => {
  const { backend, claimed, emitter } = await open()
  expect(await emitAll(emitter, ['a'])).toEqual([1])
  await backend.complete(claimed.handle)
  await refusal(emitter.emit('text', 'b'), 'execution_not_active')
  await refusal(emitter.emit('text', 'c'), 'execution_not_active')
})

test('It rejects what waits when even the number cannot be asked for', async () => {
  const { emitter } = await open(
    () => ({ readStream: () => Promise.reject(new EngineError('connection_timeout', 'no')) }),
    'resumed',
  )
  await refusal(emitter.emit('text', 'a'), 'connection_timeout')
})
