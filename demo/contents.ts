// Reads what the audit needs of one installed package: package.json, licence files and its size.

import { open, readdir, readFile, stat } from 'node:fs/promises'
import { join, normalize, sep } from 'node:path'
import type { LicenceFile } from './licence.ts'

export interface Contents {
  /** Undefined when package.json is not a JSON object. */
  readonly manifest: Readonly<Record<string, unknown>> | undefined
  /** Sorted by path. */
  readonly licenceFiles: readonly LicenceFile[]
  /** Size of all files of the package, without the packages nested in it. */
  readonly bytes: number
}

const licenceFilesMax = 100
const licenceFileMaxBytes = 1_048_576

const licenceName = new RegExp(
  '^(un)?licen[cs]es?([-._](mit|apache|bsd|isc|gpl|lgpl|mpl|cc0)[\\w.-]*)?' +
    '(\\.(md|markdown|txt|rst))?$|^copying(\\.\\w+)?$',
  'i',
)

/** Throws when the package is gone, or when `signal` fires. */
export async function readContents(folder: string, signal: AbortSignal): Promise<Contents> {
  const manifest = parseManifest(await readFile(join(folder, 'package.json'), 'utf8'))
  const files = await listFiles(folder, signal)
  const sizes = await Promise.all(files.map(async (file) => (await stat(join(folder, file))).size))
  const wanted = new Set(files.filter(isLicenceFile).slice(0, licenceFilesMax))
  const referenced = referencedFile(manifest)
  if (referenced !== undefined && files.includes(referenced)) wanted.add(referenced)
  const licenceFiles: LicenceFile[] = []
  for (const path of [...wanted].sort()) {
    signal.throwIfAborted()
    licenceFiles.push({ path, text: await readStart(join(folder, path)) })
  }
  return { manifest, licenceFiles, bytes: sizes.reduce((sum, size) => sum + size, 0) }
}

function parseManifest(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text.replace(/^\uFEFF/, ''))
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
    return isObject ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

/** Plain files below the folder, sorted; links are not followed, they belong to somebody else. */
async function listFiles(folder: string, signal: AbortSignal): Promise<string[]> {
  const files: string[] = []
  const folders = ['']
  for (let next = folders.pop(); next !== undefined; next = folders.pop()) {
    signal.throwIfAborted()
    for (const entry of await readdir(join(folder, next), { withFileTypes: true })) {
      const path = next === '' ? entry.name : `${next}/${entry.name}`
      if (entry.isFile()) files.push(path)
      else if (entry.isDirectory() && entry.name !== 'node_modules') folders.push(path)
    }
  }
  return files.sort()
}

function isLicenceFile(path: string): boolean {
  const name = path.slice(path.lastIndexOf('/') + 1)
  // The REUSE convention: a folder LICENSES with one text per licence, named after it.
  return licenceName.test(name) || /^LICENSES\/[\w.-]+\.(txt|md)$/.test(path)
}

/** The file that "SEE LICENSE IN file" names, whatever it is called. */
function referencedFile(manifest: Contents['manifest']): string | undefined {
  const field = manifest?.license
  const named = typeof field === 'string' ? /^see licen[cs]e in (.+)$/i.exec(field)?.[1] : undefined
  return named === undefined ? undefined : normalize(named.trim()).split(sep).join('/')
}

async function readStart(path: string): Promise<string> {
  const file = await open(path)
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(licenceFileMaxBytes))
    return buffer.toString('utf8', 0, bytesRead)
  } finally {
    await file.close()
  }
}
