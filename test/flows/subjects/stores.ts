// Stores for subjects: in this process, and on a server that is emptied for each of them.
import { openEmbeddedStore } from '../../../src/persistence/embedded/embedded-store.ts'
import type { Connection } from '../../../src/persistence/valkey/connection.ts'
import type { Library } from '../../../src/persistence/valkey/library.ts'
import { openValkeyStore } from '../../../src/persistence/valkey/valkey-store.ts'
import { settableProcessClock, startMs } from '../../support/settable-clock.ts'
import type { TimedStore } from './store-subject.ts'

export async function embeddedStore(): Promise<TimedStore> {
  const clock = settableProcessClock()
  const store = await openEmbeddedStore({ clock })
  return {
    call: (name, args) => store.call(0, name, args),
    pass: (ms) => clock.advance(ms),
    nowMs: clock.nowMs,
  }
}

export interface ServerStores {
  /** Empties the server. */
  open(): Promise<TimedStore>
  close(): Promise<void>
}

/** The library has to have a clock that can be set. */
export async function serverStores(url: string, library: Library): Promise<ServerStores> {
  let connection: Connection | undefined
  const store = await openValkeyStore({
    url,
    namespace: 'flows',
    library,
    wrapConnection: (real) => {
      connection = real
      return real
    },
  })
  const send = (command: string, ...parts: readonly (string | number)[]) =>
    (connection as Connection).send(command, parts)
  let nowMs = startMs
  const setClock = async (ms: number) => {
    nowMs = ms
    await send('FCALL', `${library.name}_clock`, 0, ms)
  }
  return {
    async open() {
      await Promise.all([send('FLUSHDB'), setClock(startMs)])
      await store.claimNamespace()
      return {
        call: (name, args) => store.call(0, name, args),
        pass: (ms) => setClock(nowMs + ms),
        nowMs: () => nowMs,
      }
    },
    close: () => store.close(),
  }
}
