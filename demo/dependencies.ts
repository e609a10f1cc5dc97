// Which installed package depends on which, in an order in which each comes after its dependencies.

import { readFile, realpath } from 'node:fs/promises'
import { basename, dirname, join, relative, sep } from 'node:path'
import type { PackageTree } from './packages.ts'
import { shortened, widthMax } from './progress.ts'

export interface DependencyGraph {
  /** Indexes of packages in the tree, each after those that come before it. */
  readonly order: readonly number[]
  /** What each package is audited after, by index. */
  readonly before: readonly (readonly number[])[]
  /** Dependencies that were left out because they close a circle. */
  readonly cut: readonly { readonly from: number; readonly to: number }[]
}

export async function readGraph(tree: PackageTree): Promise<DependencyGraph> {
  const indexOf = new Map(tree.packages.map(({ path }, index) => [path, index]))
  const dependencies = await Promise.all(
    tree.packages.map(async ({ path }) => {
      const folder = join(tree.root, path)
      const found = await Promise.all(
        (await dependencyNames(folder)).map((name) => resolvedPath(tree.root, folder, name)),
      )
      const indexes = found.flatMap((at) => (at === undefined ? [] : (indexOf.get(at) ?? [])))
      return [...new Set(indexes)].sort((one, other) => one - other)
    }),
  )
  return withoutCircles(dependencies)
}

/** What it needs to run; development has no part in it. */
async function dependencyNames(folder: string): Promise<readonly string[]> {
  try {
    const manifest: unknown = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'))
    const { dependencies, optionalDependencies } = (manifest ?? {}) as Record<string, unknown>
    return [...namesIn(dependencies), ...namesIn(optionalDependencies)]
  } catch {
    // That it cannot be read is found by its audit.
    return []
  }
}

function namesIn(value: unknown): readonly string[] {
  return typeof value === 'object' && value !== null ? Object.keys(value) : []
}

/** Where Node would find it, as a path in the tree; undefined when it is not installed there. */
async function resolvedPath(
  root: string,
  folder: string,
  name: string,
): Promise<string | undefined> {
  for (let at = folder; at.startsWith(dirname(root)); at = dirname(at)) {
    if (basename(at) !== 'node_modules') {
      const real = await realpath(join(at, 'node_modules', name)).catch(() => undefined)
      if (real !== undefined) return relative(root, real).split(sep).join('/')
    }
    if (at === dirname(root)) break
  }
  return undefined
}

/**
 * Walks the packages in the order of the tree, dependencies first. A dependency on a package whose
 * own dependencies are still being walked closes a circle and is left out: always the same ones.
 */
export function withoutCircles(dependencies: readonly (readonly number[])[]): DependencyGraph {
  const order: number[] = []
  const cut: { from: number; to: number }[] = []
  const before = dependencies.map((): number[] => [])
  const state = dependencies.map((): 'new' | 'open' | 'done' => 'new')
  const walk = (index: number) => {
    state[index] = 'open'
    for (const dependency of dependencies[index] ?? []) {
      if (state[dependency] === 'new') walk(dependency)
      if (state[dependency] === 'done') before[index]?.push(dependency)
      else cut.push({ from: index, to: dependency })
    }
    state[index] = 'done'
    order.push(index)
  }
  for (const index of dependencies.keys()) if (state[index] === 'new') walk(index)
  return { order, before, cut }
}

const circlesShown = 5

/** What the summary says of the order. */
export function orderLines(
  { packages }: Pick<PackageTree, 'packages'>,
  { before, cut }: DependencyGraph,
): readonly string[] {
  const edges = before.reduce((sum, list) => sum + list.length, 0)
  const first =
    edges === 1
      ? 'Audited after what each depends on: 1 dependency.'
      : `Audited after what each depends on: ${edges} dependencies.`
  if (cut.length === 0) return [first]
  // Names come from strangers' files: they must not steer the terminal.
  const nameOf = (index: number) =>
    `${packages[index]?.name}@${packages[index]?.version}`.replace(/\p{Cc}/gu, '?')
  const rows = cut
    .slice(0, circlesShown)
    .map(({ from, to }) => shortened(`  ${nameOf(from)} → ${nameOf(to)}`, widthMax))
  const more = cut.length - rows.length
  return [
    first,
    `Left out, because they close circles (${cut.length}):`,
    ...rows,
    ...(more > 0 ? [`  … and ${more} more`] : []),
  ]
}
