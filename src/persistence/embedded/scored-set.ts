// A sorted set that knows the score of each member, whose members may be any words.
import { compareWords, SortedSet } from './sorted-set.ts'

export class ScoredSet extends SortedSet {
  private readonly scores = new Map<string, number>()

  constructor() {
    super(compareWords)
  }

  score(member: string): number | undefined {
    return this.scores.get(member)
  }

  /** Adds or rescores a member. Returns whether it is new. */
  override add(member: string, score: number): boolean {
    const known = this.scores.get(member)
    if (known !== undefined) super.remove(member, known)
    this.scores.set(member, score)
    super.add(member, score)
    return known === undefined
  }

  override remove(member: string): boolean {
    const known = this.scores.get(member)
    if (known === undefined) return false
    this.scores.delete(member)
    return super.remove(member, known)
  }
}
