// The durable records of one embedded engine: a flat map from key to bytes in an LMDB folder.

import { access, constants, open as openFile, rm, stat, writeFile } from 'node:fs/promises'
import { endianness } from 'node:os'
import { dirname, join, resolve as resolvePath } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { open as openLmdb, type RootDatabase } from 'lmdb'
import { EngineError } from '../../errors.ts'
import { makeFolder } from './folder.ts'
import {
  directoryInUse,
  type OwnerCell,
  type Ownership,
  refuseLiveOwner,
  takeOwnership,
} from './owner.ts'

/**
 * When a commit is acknowledged. Either way it survives the death of the process, and a power loss
 * never damages older records.
 *
 * - `committed`: data pages are on disk, the page that makes them current may still be in the
 *   system's cache: a power loss can undo the last transaction.
 * - `flushed`: everything is on disk.
 */
export type Durability = 'committed' | 'flushed'

/** The records of one embedded engine on disk: a flat map from key to bytes in LMDB. */
export interface RecordDirectory {
  /** Every stored record, in order of the UTF-8 bytes of the keys. Read it to the end. */
  load(): Iterable<[key: string, value: Uint8Array]>
  /**
   * Writes all changes in one LMDB transaction; `undefined` deletes. Resolves once they are as
   * durable as the directory promises. Calls that arrive in one turn, or while an earlier
   * transaction is being written, share a transaction; the order of calls is kept.
   *
   * The bytes are not copied: leave them as they are until the promise settles.
   */
  commit(changes: ReadonlyMap<string, Uint8Array | undefined>): Promise<void>
  /** Finishes what was committed before, then lets others open the directory. */
  close(): Promise<void>
}

type Database = RootDatabase<Uint8Array, Uint8Array>
type Changes = ReadonlyMap<string, Uint8Array | undefined>

/** Raise it when records of an older engine cannot be read any more. */
const schemaNumber = '1'

/** The first byte of every LMDB key tells the engine's records from the directory's own. */
const recordPrefix = '\u0001'
const schemaKey = Buffer.from('\u0000schema')
const ownerKey = Buffer.from('\u0000owner')

/** The longest key that lmdb takes with pages of 4 KiB is 1978 bytes; one is the prefix. */
const keyBytesMax = 1977

/**
 * Folders that this thread has open or is opening, by device and inode: LMDB would let two openers
 * share one environment with the settings of whoever came first.
 */
const openFolders = new Set<string>()

/**
 * Opens the directory at `path`, making it if it is missing, and owns it until it is closed or this
 * process ends, however it ends.
 */
export async function openDirectory(
  path: string,
  options: { readonly durability?: Durability } = {},
): Promise<RecordDirectory> {
  const folder = resolvePath(path)
  try {
    const made = await makeFolder(folder)
    const { dev, ino } = await stat(folder, { bigint: true })
    const identity = `${dev}:${ino}`
    if (openFolders.has(identity)) throw directoryInUse(folder)
    openFolders.add(identity)
    const forget = () => openFolders.delete(identity)
    try {
      await refuseLiveOwner(folder)
      await requireUsable(folder)
      const database = openDatabase(folder, options.durability ?? 'committed')
      try {
        await flushFolders(made === undefined ? folder : dirname(made), folder)
        const owner = await takeOwnership(folder, ownerCell(folder, database))
        return new LmdbDirectory(database, owner, forget)
      } catch (error) {
        await database.close()
        throw error
      }
    } catch (error) {
      forget()
      throw error
    }
  } catch (error) {
    throw error instanceof EngineError ? error : invalid(folder, 'cannot be used', error)
  }
}

/** The changes of all calls that share one transaction. */
class Group {
  readonly changes = new Map<string, Uint8Array | undefined>()
  readonly committed: Promise<void>
  resolve!: () => void
  reject!: (error: EngineError) => void

  constructor() {
    this.committed = new Promise((resolve, reject) => {
      this.resolve = resolve
      this.reject = reject
    })
  }

  add(changes: Changes): void {
    for (const [key, value] of changes) this.changes.set(key, value)
  }
}

class LmdbDirectory implements RecordDirectory {
  readonly #database: Database
  readonly #owner: Ownership
  readonly #forget: () => void
  #waiting: Group | undefined
  #writing: Promise<void> | undefined
  #closing: Promise<void> | undefined
  #failure: EngineError | undefined

  constructor(database: Database, owner: Ownership, forget: () => void) {
    this.#database = database
    this.#owner = owner
    this.#forget = forget
  }

  *load(): Iterable<[key: string, value: Uint8Array]> {
    this.#requireOpen()
    for (const { key, value } of this.#database.getRange({ start: Buffer.from(recordPrefix) })) {
      const name = Buffer.from(key.buffer, key.byteOffset + 1, key.length - 1).toString()
      yield [name, new Uint8Array(value.buffer, value.byteOffset, value.length)]
    }
  }

  async commit(changes: Changes): Promise<void> {
    this.#requireOpen()
    for (const key of changes.keys()) requireKey(key)
    this.#waiting ??= new Group()
    this.#waiting.add(changes)
    const { committed } = this.#waiting
    this.#writing ??= this.#writeGroups()
    return committed
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await this.#writing
    try {
      await this.#database.close()
    } finally {
      await this.#owner.release()
      this.#forget()
    }
  }

  #requireOpen(): void {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#closing !== undefined) {
      throw new EngineError('directory_closed', 'the directory was closed')
    }
  }

  async #writeGroups(): Promise<void> {
    while (this.#waiting !== undefined && this.#failure === undefined) {
      // Whoever asks in this turn, such as those that the last group woke, shares the transaction.
      await nextTurn()
      const group = this.#waiting
      this.#waiting = undefined
      try {
        await write(this.#database, group.changes)
        group.resolve()
      } catch (error) {
        this.#fail(group, await causeOf(error))
      }
    }
    this.#writing = undefined
  }

  /** Nothing may be written after a failure: what memory holds is not what the disk holds. */
  #fail(group: Group, cause: unknown): void {
    const message = cause instanceof Error ? cause.message : String(cause)
    this.#failure = new EngineError('directory_closed', `a commit failed: ${message}`, { cause })
    group.reject(this.#failure)
    this.#waiting?.reject(this.#failure)
    this.#waiting = undefined
  }
}

async function write(database: Database, changes: Changes): Promise<void> {
  if (changes.size === 0) return
  // The promises inside a batch tell nothing: the batch as a whole commits or fails.
  await database.batch(() => {
    for (const [key, value] of changes) {
      const bytes = Buffer.from(recordPrefix + key)
      if (value === undefined) void database.remove(bytes)
      else void database.put(bytes, value)
    }
  })
}

/** lmdb rejects with a general error that carries a promise, which rejects with the real one. */
async function causeOf(error: unknown): Promise<unknown> {
  if (!(error instanceof Error && 'commitError' in error)) return error
  try {
    await error.commitError
  } catch (cause) {
    return cause
  }
  return error
}

function requireKey(key: string): void {
  const keyBytes = Buffer.byteLength(key)
  if (keyBytes > keyBytesMax) {
    const message = `a key has ${keyBytes} bytes, more than ${keyBytesMax}`
    throw new EngineError('invalid_input', message, { details: { keyBytes, keyBytesMax } })
  }
  // Half a surrogate pair has no UTF-8 form: different keys would become the same.
  if (/\p{Surrogate}/u.test(key)) {
    throw new EngineError('invalid_input', 'a key is not well-formed Unicode', { details: { key } })
  }
}

/**
 * Options that the promises rest on:
 * - `overlappingSync` off: with it, lmdb 3.5 acknowledges no sooner, but trusts the boot id of the
 *   system for what survives a crash, and never finishes closing after a failed commit.
 * - `eventTurnBatching` off: only `batch` says what makes up a transaction, and no transaction
 *   stays open across turns waiting for this thread.
 */
function openDatabase(folder: string, durability: Durability): Database {
  return openLmdb<Uint8Array, Uint8Array>({
    path: folder,
    noSubdir: false,
    encoding: 'binary',
    keyEncoding: 'binary',
    overlappingSync: false,
    eventTurnBatching: false,
    noMetaSync: durability === 'committed',
  })
}

function ownerCell(folder: string, database: Database): OwnerCell {
  return {
    exchange: (expected, next) =>
      database.transactionSync(() => {
        if (requireSchema(folder, database) === 'empty') {
          database.putSync(schemaKey, Buffer.from(schemaNumber))
        }
        const holder = readText(database, ownerKey)
        if (holder !== undefined && holder !== expected) return holder
        database.putSync(ownerKey, Buffer.from(next))
        return next
      }),
  }
}

function requireSchema(folder: string, database: Database): 'empty' | 'ours' {
  const schema = readText(database, schemaKey)
  if (schema === schemaNumber) return 'ours'
  if (schema !== undefined) {
    throw invalid(folder, `has schema ${schema}, this engine reads ${schemaNumber}`)
  }
  for (const _ of database.getKeys({ limit: 1 })) throw invalid(folder, 'holds foreign records')
  return 'empty'
}

function readText(database: Database, key: Uint8Array): string | undefined {
  const value = database.get(key)
  return value === undefined ? undefined : Buffer.from(value).toString()
}

/**
 * Refuses what LMDB must not see: lmdb 3.5 does not report a file that it cannot open or does not
 * understand, it brings the process down.
 */
async function requireUsable(folder: string): Promise<void> {
  const head = await readHead(join(folder, 'data.mdb'))
  if (head.length > 0) requireLmdb(folder, head)
  const hasLock = await isUsableFile(join(folder, 'lock.mdb'))
  if (head.length === 0 || !hasLock) await requireSpace(folder)
}

/** The first bytes of a file, or none if there is no such file. */
async function readHead(file: string): Promise<Buffer> {
  if (!(await isUsableFile(file))) return Buffer.alloc(0)
  const handle = await openFile(file)
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(64), 0, 64, 0)
    return buffer.subarray(0, bytesRead)
  } finally {
    await handle.close()
  }
}

/** Does not open it: closing a lock file makes the system drop the locks of this process on it. */
async function isUsableFile(file: string): Promise<boolean> {
  try {
    if (!(await stat(file)).isFile()) throw new Error(`${file} is not a file`)
    await access(file, constants.R_OK | constants.W_OK)
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return false
    throw error
  }
}

/** Checks what `MDB_meta` starts with, which follows a page header of 24 bytes. */
function requireLmdb(folder: string, head: Buffer): void {
  const [magic, version, encrypted] = [0xbe_ef_c0_de, 2, 0x20_00]
  const view = new DataView(head.buffer, head.byteOffset, head.length)
  const isLittle = endianness() === 'LE'
  const isReadable =
    head.length === 64 &&
    view.getUint32(24, isLittle) === magic &&
    view.getUint16(28, isLittle) === version &&
    (view.getUint16(52, isLittle) & encrypted) === 0
  if (!isReadable) throw invalid(folder, 'holds a data.mdb of another kind')
}

/** LMDB starts with a few pages, so that a full disk shows here and not inside of it. */
async function requireSpace(folder: string): Promise<void> {
  const file = join(folder, `space-${process.pid}-${performance.now()}`)
  try {
    await writeFile(file, new Uint8Array(65_536), { flush: true })
  } finally {
    await rm(file, { force: true })
  }
}

/** Files and folders survive a power loss once the folders that name them are on disk. */
async function flushFolders(first: string, last: string): Promise<void> {
  if (process.platform === 'win32') return
  for (let folder = last; ; folder = dirname(folder)) {
    const handle = await openFile(folder, 'r')
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
    if (folder === first) return
  }
}

function invalid(folder: string, reason: string, cause?: unknown): EngineError {
  const why = cause instanceof Error ? `: ${cause.message}` : ''
  return new EngineError('directory_invalid', `${folder} ${reason}${why}`, {
    details: { path: folder },
    cause,
  })
}
