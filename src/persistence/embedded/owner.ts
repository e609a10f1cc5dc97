// Exclusive ownership of a folder, proven by a socket that stops answering when its process dies.

import { randomBytes } from 'node:crypto'
import { readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EngineError } from '../../errors.ts'

/** The one place that names the owner; every opener sees the same one. */
export interface OwnerCell {
  /**
   * Writes `next` if the cell holds `expected`, atomically among all processes. Returns what the
   * cell holds afterwards.
   */
  exchange(expected: string | undefined, next: string): string
}

export interface Ownership {
  release(): Promise<void>
}

/** Every opener puts a file of this name into the folder: its socket, or on Windows a marker. */
const fileName = /^owner-[0-9a-f]{16}$/

/** `sun_path` has 104 bytes on macOS and 108 on Linux; libuv cuts longer addresses off silently. */
const addressBytesMax = 100

/**
 * Owns `folder` until released or until this process is gone, however it goes.
 *
 * No process ids and no timeouts: the kernel closes a dead owner's socket, and only after the last
 * thread of that process stopped writing. A stopped or busy owner still answers, because the
 * kernel accepts connections on its behalf.
 */
export async function takeOwnership(folder: string, cell: OwnerCell): Promise<Ownership> {
  const name = `owner-${randomBytes(8).toString('hex')}`
  // Listens before it is named, so that a named owner that does not answer is dead for good.
  const server = await listen(folder, name)
  try {
    let dead: string | undefined
    for (;;) {
      const holder = cell.exchange(dead, name)
      if (holder === name) break
      await requireDead(folder, holder)
      // Removed while still named, so that no file is left behind if this process dies here.
      await rm(join(folder, holder), { force: true })
      dead = holder
    }
  } catch (error) {
    await stopListening(server, folder, name)
    throw error
  }
  return { release: () => stopListening(server, folder, name) }
}

/**
 * Throws if anybody in `folder` answers. An early no, from the file names alone, for openers that
 * must not touch LMDB's files beside a live owner; only `takeOwnership` says yes.
 */
export async function refuseLiveOwner(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (fileName.test(name)) await requireDead(folder, name)
  }
}

async function requireDead(folder: string, name: string): Promise<void> {
  const answer = await withAddress(folder, name, probe)
  if (answer === 'dead') return
  throw directoryInUse(folder, answer === 'alive' ? undefined : answer)
}

export function directoryInUse(folder: string, cause?: unknown): EngineError {
  return new EngineError('directory_in_use', `another engine has ${folder} open`, {
    details: { path: folder },
    cause,
  })
}

/**
 * Calls `use` with an address of the socket `name` inside `folder`.
 *
 * Sockets are named relative to their folder: containers that mount the folder at different paths
 * meet at the same socket, and a copied folder does not seem to be owned. Where the whole path does
 * not fit into an address, a short symbolic link leads to the folder for as long as `use` runs.
 */
async function withAddress<Result>(
  folder: string,
  name: string,
  use: (address: string) => Promise<Result>,
): Promise<Result> {
  if (process.platform === 'win32') return use(`\\\\.\\pipe\\holdfast-${name}`)
  const address = join(folder, name)
  if (Buffer.byteLength(address) <= addressBytesMax) return use(address)
  const link = join(tmpdir(), `holdfast-${randomBytes(8).toString('hex')}`)
  const linked = join(link, name)
  if (Buffer.byteLength(linked) > addressBytesMax) {
    throw new EngineError(
      'directory_invalid',
      `the paths of ${folder} and ${tmpdir()} are too long`,
    )
  }
  await symlink(folder, link)
  try {
    return await use(linked)
  } finally {
    await rm(link, { force: true })
  }
}

async function listen(folder: string, name: string): Promise<Server> {
  const server = createServer((socket) => socket.destroy())
  try {
    await withAddress(folder, name, (address) => {
      return new Promise<void>((resolve, reject) => {
        server.once('error', reject)
        // `exclusive` keeps a cluster worker from leaving the socket with its primary process.
        server.listen({ path: address, exclusive: true }, resolve)
      })
    })
    if (process.platform === 'win32') await writeFile(join(folder, name), '')
  } catch (cause) {
    server.close()
    if (cause instanceof EngineError) throw cause
    throw new EngineError('directory_invalid', `no socket can be made in ${folder}`, {
      details: { path: folder },
      cause,
    })
  }
  // Whoever asks is connected before it is accepted, so a failure to accept changes no answer.
  server.on('error', () => {})
  return server.unref()
}

/** An error stands for "cannot tell", which must count as alive. */
function probe(address: string): Promise<'alive' | 'dead' | Error> {
  return new Promise((resolve) => {
    const socket = connect(address, () => {
      socket.destroy()
      resolve('alive')
    })
    socket.on('error', (error: NodeJS.ErrnoException) => {
      resolve(error.code === 'ECONNREFUSED' || error.code === 'ENOENT' ? 'dead' : error)
    })
  })
}

async function stopListening(server: Server, folder: string, name: string): Promise<void> {
  await new Promise((resolve) => server.close(resolve))
  await rm(join(folder, name), { force: true })
}
