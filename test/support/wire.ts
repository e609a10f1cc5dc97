// What a store puts in front of the operations of a batch, learnt from a store that sends one.
import { openValkeyStore } from '../../src/persistence/valkey/valkey-store.ts'

export type Wire = readonly (string | Uint8Array)[]

/** The arguments of `FCALL` for a batch: everything but the operations is as the store sends it. */
export type BatchOf = (tag: string, operations: Wire) => Wire

/** Connects once and watches the very first operation, which opens the namespace. */
export async function learnBatches(url: string, library: string): Promise<BatchOf> {
  let header: Wire | undefined
  const store = await openValkeyStore({
    url,
    namespace: 'wire',
    wrapConnection: (connection) => {
      const watched: typeof connection = Object.create(connection)
      watched.send = (command, args) => {
        const at = args.indexOf('partition.open')
        header ??= args.slice(3, at) as string[]
        return connection.send(command, args)
      }
      return watched
    },
  })
  await store.close()
  const learnt = header ?? []
  return (tag, operations) => [library, '1', tag, ...learnt, ...operations]
}
