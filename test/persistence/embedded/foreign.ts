// LMDB folders as somebody else would make or change them.

// biome-ignore lint/style/noRestrictedImports: it stands for other programs that use LMDB
import { open } from 'lmdb'

export async function writeForeign(path: string, key: string, value: string): Promise<void> {
  const database = open<Uint8Array, Uint8Array>({
    path,
    noSubdir: false,
    encoding: 'binary',
    keyEncoding: 'binary',
    overlappingSync: false,
  })
  await database.put(Buffer.from(key), Buffer.from(value))
  await database.close()
}

export async function writeEncrypted(path: string): Promise<void> {
  const database = open({ path, noSubdir: false, encryptionKey: 'k'.repeat(32) })
  await database.put('key', 'value')
  await database.close()
}
