// Flows of the real stores against the oracle: known scenarios first, then random graphs and plays.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type RunningServer, startServer } from '../../scripts/servers.ts'
import { testLibrary } from '../support/settable-clock.ts'
import { flowTimeoutMs, missing, playAll } from './random-plays.ts'
import { scenarios } from './scenarios/all.ts'
import { playScenario } from './scenarios/steps.ts'
import { storeSubject } from './subjects/store-subject.ts'
import { embeddedStore, type ServerStores, serverStores } from './subjects/stores.ts'
import type { FlowSubject } from './vocabulary.ts'

function describeFlows(open: () => Promise<FlowSubject>): void {
  it.each(scenarios)('knows that $name', async (scenario) => {
    expect(await playScenario(scenario, await open())).toBeUndefined()
  })

  it('agrees with the oracle about random graphs', { timeout: flowTimeoutMs }, async () => {
    expect(missing(await playAll(open))).toEqual([])
  })
}

describe('The embedded store', () => {
  describeFlows(async () => storeSubject(await embeddedStore()))
})

describe.each(['valkey', 'redis'] as const)('The store on %s', (flavour) => {
  let server: RunningServer
  let stores: ServerStores
  beforeAll(async () => {
    server = await startServer({ flavour })
    stores = await serverStores(server.url, testLibrary)
  })
  afterAll(async () => {
    await stores.close()
    await server.stop()
  })
  describeFlows(async () => storeSubject(await stores.open()))
})
