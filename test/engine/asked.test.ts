// What a task was handed, and whether it ever looked.
import { expect, test } from 'vitest'
import { Answers } from '../../src/engine/asked.ts'
import { EngineError } from '../../src/errors.ts'

const fault = new EngineError('connection_timeout', 'no')
const failing = () => Promise.reject(fault)

test('A fault that nobody asked about is known', async () => {
  const answers = new Answers()
  void answers.hand(Promise.resolve(1))
  void answers.hand(failing())
  await answers.settled()
  expect(answers.unheard).toBe(fault)
})

test('A fault that somebody asked about in whatever way is not', async () => {
  const answers = new Answers()
  const awaited = async () => void (await answers.hand(failing()))
  await expect(awaited()).rejects.toBe(fault)
  await expect(Promise.all([answers.hand(failing())])).rejects.toBe(fault)
  await answers.hand(failing()).catch((error) => expect(error).toBe(fault))
  const late = answers.hand(failing())
  await answers.settled()
  await expect(late).rejects.toBe(fault)
  expect(answers.unheard).toBeUndefined()
})

test('A lost lease is told by the signal, not here', async () => {
  const answers = new Answers()
  void answers.hand(Promise.reject(new EngineError('execution_not_active', 'gone')))
  await answers.settled()
  expect(answers.unheard).toBeUndefined()
})

test('What is on its way is waited for, but no wait', async () => {
  const answers = new Answers()
  const order: string[] = []
  let finish: () => void = () => {}
  void answers.hand(new Promise<void>((resolve) => (finish = resolve))).then(() => order.push('a'))
  void answers.handWait(new Promise<never>(() => {}))
  const settled = answers.settled().then(() => order.push('settled'))
  finish()
  await settled
  expect(order).toEqual(['a', 'settled'])
})
