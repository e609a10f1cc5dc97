// Makes a folder with those above it.
import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * Returns the topmost folder that had to be made, or undefined when all were there. Node's own
 * recursive mkdir never returns where nothing can be made below an existing folder, as in `/proc`.
 */
export async function makeFolder(path: string): Promise<string | undefined> {
  try {
    await mkdir(path)
    return path
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST') return undefined
    const above = dirname(path)
    if (code !== 'ENOENT' || above === path) throw error
    const made = await makeFolder(above)
    await mkdir(path)
    return made ?? path
  }
}
