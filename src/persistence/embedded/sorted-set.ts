// A sorted set like Valkey's: members ordered by score, then by their own text.
import { createRequire } from 'node:module'
import type sortedBtree from 'sorted-btree'

/** A member and its score. */
export interface ScoredRow {
  readonly member: string
  readonly score: number
}

// The package is CommonJS with a default export, which loaders of ES modules hand over differently.
const BTree = (createRequire(import.meta.url)('sorted-btree') as typeof sortedBtree).default

const nothing: readonly ScoredRow[] = []

/**
 * Members are ASCII, so that comparing strings is comparing bytes, unless the set is told to
 * compare words. Whoever removes a member knows
 * its score: it follows from the stored record.
 */
export class SortedSet {
  private readonly tree: InstanceType<typeof BTree<ScoredRow, undefined>>

  constructor(compare: (a: ScoredRow, b: ScoredRow) => number = compareRows) {
    this.tree = new BTree<ScoredRow, undefined>(undefined, compare)
  }

  get size(): number {
    return this.tree.size
  }

  /** Returns whether the row is new. */
  add(member: string, score: number): boolean {
    return this.tree.set({ member, score }, undefined)
  }

  /** Returns whether the row was there. */
  remove(member: string, score: number): boolean {
    return this.tree.delete({ member, score })
  }

  /** The lowest score, or undefined when the set is empty. */
  firstScore(): number | undefined {
    return this.tree.minKey()?.score
  }

  /** At most `count` rows from the front. */
  head(count: number): readonly ScoredRow[] {
    const first = this.tree.minKey()
    if (first === undefined || count < 1) return nothing
    return count === 1 ? [first] : take(this.tree.keys(), count, Number.POSITIVE_INFINITY)
  }

  /** The highest score, or undefined when the set is empty. */
  lastScore(): number | undefined {
    return this.tree.maxKey()?.score
  }

  /** At most `count` rows from the front whose score is not over `score`. */
  upTo(score: number, count: number): readonly ScoredRow[] {
    const first = this.tree.minKey()
    if (first === undefined || first.score > score || count < 1) return nothing
    return take(this.tree.keys(), count, score)
  }

  /** At most `count` members after one, in a set whose scores are all 0. */
  after(member: string | undefined, count: number): string[] {
    const from = { member: member ?? '', score: 0 }
    const rows = take(this.tree.keys(from), count + 1, 0).map((row) => row.member)
    return (rows[0] === member ? rows.slice(1) : rows).slice(0, count)
  }

  /** One page of members after one, in a set whose scores are all 0. */
  page(
    after: string | undefined,
    count: number,
  ): { readonly ids: string[]; readonly more: boolean } {
    const ids = count === 0 ? [] : this.after(after, count + 1)
    return { ids: ids.slice(0, count), more: ids.length > count }
  }

  /** At most `count` rows after one, whether or not that one is there. */
  beyond(row: ScoredRow | undefined, count: number): readonly ScoredRow[] {
    const rows = take(this.tree.keys(row), count + 1, Number.POSITIVE_INFINITY)
    const isFirst = row !== undefined && rows[0] !== undefined && compareRows(rows[0], row) === 0
    return (isFirst ? rows.slice(1) : rows).slice(0, count)
  }

  all(): readonly ScoredRow[] {
    return this.tree.keysArray()
  }
}

function compareRows(a: ScoredRow, b: ScoredRow): number {
  if (a.score !== b.score) return a.score - b.score
  if (a.member === b.member) return 0
  return a.member < b.member ? -1 : 1
}

/** Like `compareRows`, for members of any letters: in the order of their bytes. */
export function compareWords(a: ScoredRow, b: ScoredRow): number {
  if (a.score !== b.score) return a.score - b.score
  return a.member === b.member ? 0 : Buffer.compare(Buffer.from(a.member), Buffer.from(b.member))
}

function take(rows: Iterable<ScoredRow>, count: number, scoreMax: number): ScoredRow[] {
  const taken: ScoredRow[] = []
  for (const row of rows) {
    if (row.score > scoreMax) break
    taken.push(row)
    if (taken.length === count) break
  }
  return taken
}
