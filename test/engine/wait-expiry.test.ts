// A wait whose waitpoint ran out of time before it began, on a clock that the test sets.
import { expect, onTestFinished, test } from 'vitest'
import { WaitLine } from '../../src/engine/wait-line.ts'
import { Waits } from '../../src/engine/waits.ts'
import { jsonCodec } from '../../src/index.ts'
import { openEmbeddedStore } from '../../src/persistence/embedded/embedded-store.ts'
import { createBackend } from '../../src/persistence/store-backend.ts'
import { claimOne, refusal, submitAndClaim } from '../support/executions.ts'
import { settableProcessClock } from '../support/settable-clock.ts'

test('goes on with a waitpoint of its own, and the old link stays dead', async () => {
  const clock = settableProcessClock()
  const backend = createBackend(await openEmbeddedStore({ clock }))
  onTestFinished(() => backend.close())
  const claimed = await submitAndClaim(backend)
  const parts = { backend, codec: jsonCodec, urlOf: () => undefined, settled: async () => {} }
  const suspended = new Promise<void>((resolve) => {
    const waits = new Waits({ ...parts, line: new WaitLine(), claimed, parked: resolve })
    void waits.waitpoint('slow', { expires: '1s' }).then(async ({ token }) => {
      await clock.advance(1000)
      void waits.waitFor('slow', {})
      await refusal(backend.deliverSignal({ token }), 'waitpoint_closed')
    })
  })
  await suspended
  const open = (await backend.listWaitpoints(claimed.executionId)).items.filter(
    ({ state }) => state === 'active',
  )
  expect(open.map(({ key }) => key)).toEqual(['slow'])
  const token = await backend.waitpointToken(claimed.executionId, open[0]?.waitpointId ?? '')
  await backend.deliverSignal({ token, payload: Buffer.from('7'), encoding: 'json' })
  const next = await claimOne(backend)
  const line = new WaitLine()
  const waits = new Waits({ ...parts, line, claimed: next, parked: () => undefined })
  expect((await waits.waitFor('slow', {})).payload).toBe(7)
})
