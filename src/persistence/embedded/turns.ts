// Queues in which keys take turns; the twin of lua/lib/turns.lua.
import { counts, grantedScore } from '../../limits.ts'
import { ScoredSet } from './scored-set.ts'
import type { ScoredRow, SortedSet } from './sorted-set.ts'

/** A row whose turn it is, and the key that it is of: the empty one for work without a key. */
export interface TurnRow extends ScoredRow {
  readonly share: string
}

/** The rows of one key, fetched a few at a time. */
interface Entry {
  readonly share: string
  readonly rows: readonly ScoredRow[]
  at: number
}

/** Names the rows of one key of a queue; without a key they stand in an index of their own. */
export function queueOf(name: string, key: string): string {
  return key === '' ? name : `${name}||${key}`
}

export class Turns {
  /** Queue → its ring of keys. */
  readonly rings = new Map<string, ScoredSet>()
  private readonly sets: Map<string, SortedSet>
  private readonly make: () => SortedSet

  constructor(sets: Map<string, SortedSet>, make: () => SortedSet) {
    this.sets = sets
    this.make = make
  }

  /** Adds or rescores a row of a key. Returns whether the row is new, and whether the ring is. */
  add(name: string, key: string, member: string, score: number): { isNew: boolean; ring: boolean } {
    const queue = queueOf(name, key)
    const set = this.sets.get(queue) ?? this.make()
    this.sets.set(queue, set)
    const isNew = set.add(member, score)
    const ring = this.rings.get(name)
    if (!isNew || ring?.score(key) !== undefined) return { isNew, ring: false }
    if (ring !== undefined) {
      ring.add(key, (ring.lastScore() ?? -1) + 1)
      return { isNew, ring: false }
    }
    const first = new ScoredSet()
    first.add('', 0)
    first.add(key, 1)
    this.rings.set(name, first)
    return { isNew, ring: true }
  }

  /**
   * Removes a row of a key; a key without rows is forgotten, and a ring without keys too. Returns
   * whether the row was there, and whether the ring is gone.
   */
  remove(name: string, key: string, member: string, score: number) {
    const queue = queueOf(name, key)
    const wasThere = this.sets.get(queue)?.remove(member, score) ?? false
    if ((this.sets.get(queue)?.size ?? 0) > 0) return { wasThere, ring: false }
    this.sets.delete(queue)
    const ring = this.rings.get(name)
    if (ring?.remove(key) !== true || ring.size > 1) return { wasThere, ring: false }
    this.rings.delete(name)
    return { wasThere, ring: true }
  }

  /** Up to `count` rows of a queue in the order of turns. */
  candidates(name: string, count: number): TurnRow[] {
    const ring = this.rings.get(name)?.head(count + counts.idleTurnsMax) ?? []
    let live = ring.map(({ member: share }): Entry => {
      const rows = this.sets.get(queueOf(name, share))?.head(count) ?? []
      return { share, rows, at: 0 }
    })
    const found: TurnRow[] = []
    while (live.length > 0 && found.length < count) {
      live = live.filter((entry) => {
        const row = found.length < count ? entry.rows[entry.at] : undefined
        entry.at += 1
        // Rows under a live grant come last.
        if (row === undefined || row.score >= grantedScore) return false
        found.push({ ...row, share: entry.share })
        return true
      })
    }
    return found
  }

  /** The share has had its turn: all others come before its next one. */
  took(name: string, share: string): void {
    const ring = this.rings.get(name)
    if (ring?.score(share) !== undefined) ring.add(share, (ring.lastScore() ?? -1) + 1)
  }
}
