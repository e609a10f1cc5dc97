// Finds every package installed in a node_modules tree: scopes, nested trees, npm and pnpm layouts.

import { readdir, readFile, realpath, stat } from 'node:fs/promises'
import { basename, join, relative, sep } from 'node:path'

export interface InstalledPackage {
  /** Where it really is, relative to the root of the audit, with forward slashes. */
  readonly path: string
  readonly name: string
  readonly version: string
}

export interface PackageTree {
  /** The real path of the node_modules folder. */
  readonly root: string
  /** Sorted by path, so that two audits of one tree agree. */
  readonly packages: readonly InstalledPackage[]
  /** Links that lead nowhere, relative to the root. */
  readonly brokenLinks: readonly string[]
}

/** The path given by the user cannot be audited; the message says why. */
export class NotAuditable extends Error {}

/** `path` is a project folder or a node_modules folder. */
export async function readTree(path: string): Promise<PackageTree> {
  const root = await findRoot(path)
  const search: Search = { root, seen: new Set(), found: [], brokenLinks: [] }
  await searchModules(search, root)
  if (search.found.length === 0) throw new NotAuditable(`no packages are installed in ${root}`)
  return {
    root,
    packages: search.found.sort((one, other) => compare(one.path, other.path)),
    brokenLinks: search.brokenLinks.sort(compare),
  }
}

async function findRoot(path: string): Promise<string> {
  const real = await realpath(path).catch(() => {
    throw new NotAuditable(`there is no ${path}`)
  })
  if (!(await stat(real)).isDirectory()) throw new NotAuditable(`${path} is not a folder`)
  if (basename(real) === 'node_modules') return real
  return realpath(join(real, 'node_modules')).catch(() => {
    throw new NotAuditable(`${path} has no node_modules folder: nothing is installed there`)
  })
}

interface Search {
  readonly root: string
  /** Real paths that were visited: links make one package appear many times, or cycles. */
  readonly seen: Set<string>
  readonly found: InstalledPackage[]
  readonly brokenLinks: string[]
}

/** Folders in which pnpm, and npm with linked installs, keep what node_modules only links to. */
const storeNames = new Set(['.pnpm', '.store'])

async function searchModules(search: Search, modules: string): Promise<void> {
  if (!isNew(search, await realpath(modules))) return
  for (const name of await folderNames(modules)) {
    if (storeNames.has(name)) {
      await searchStore(search, join(modules, name))
    } else if (name.startsWith('@')) {
      for (const scoped of await folderNames(join(modules, name))) {
        await searchPackage(search, join(modules, name, scoped), `${name}/${scoped}`)
      }
    } else if (!name.startsWith('.')) {
      await searchPackage(search, join(modules, name), name)
    }
  }
}

async function searchStore(search: Search, store: string): Promise<void> {
  for (const name of await folderNames(store)) {
    const modules = name === 'node_modules' ? join(store, name) : join(store, name, 'node_modules')
    if (await isFolder(modules)) await searchModules(search, modules)
  }
}

async function searchPackage(search: Search, folder: string, folderName: string): Promise<void> {
  const real = await realpath(folder).catch(() => undefined)
  if (real === undefined) {
    search.brokenLinks.push(relativePath(search.root, folder))
    return
  }
  if (!isNew(search, real)) return
  const manifest = await readFile(join(real, 'package.json'), 'utf8').catch(() => undefined)
  // A folder without package.json is not installed: remains of an earlier install, or a cache.
  if (manifest === undefined) return
  search.found.push({ path: relativePath(search.root, real), ...identity(manifest, folderName) })
  const nested = join(real, 'node_modules')
  if (await isFolder(nested)) await searchModules(search, nested)
}

/** A broken package.json is a finding for the audit, not a reason to overlook the package. */
function identity(manifest: string, folderName: string): { name: string; version: string } {
  try {
    const { name, version } = (JSON.parse(manifest) ?? {}) as Record<string, unknown>
    return {
      name: typeof name === 'string' && name !== '' ? name : folderName,
      version: typeof version === 'string' && version !== '' ? version : 'unversioned',
    }
  } catch {
    return { name: folderName, version: 'unversioned' }
  }
}

function isNew(search: Search, real: string): boolean {
  if (search.seen.has(real)) return false
  search.seen.add(real)
  return true
}

async function folderNames(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
  return entries
    .filter((entry) => entry.isDirectory() || entry.isSymbolicLink())
    .map((entry) => entry.name)
    .sort(compare)
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )
}

function relativePath(root: string, path: string): string {
  return relative(root, path).split(sep).join('/')
}

// Not localeCompare: the order must not depend on the machine.
function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0
}
