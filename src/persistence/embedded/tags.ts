// Tags as they are found again; the twin of lua/lib/tags.lua.
import type { Keyspace } from './keyspace.ts'
import type { StoredExecution } from './record.ts'
import { SortedSet } from './sorted-set.ts'

/** A digest is 22 characters; the second one of each pair names an index. */
const digestLength = 22

function indexesOf(tagged: string | undefined): string[] {
  return (tagged?.split(',') ?? []).map((pair) => pair.slice(digestLength))
}

/** Enters an execution into the index of each of its tags. */
export function enterTags({ tagged }: Keyspace, stored: StoredExecution): void {
  for (const digest of indexesOf(stored.tagged)) {
    const index = tagged.get(digest) ?? new SortedSet()
    tagged.set(digest, index)
    index.add(stored.id, 0)
  }
}

/** Forgets the execution in the index of each of its tags. */
export function leaveTags({ tagged }: Keyspace, stored: StoredExecution): void {
  for (const digest of indexesOf(stored.tagged)) {
    const index = tagged.get(digest)
    index?.remove(stored.id, 0)
    if (index?.size === 0) tagged.delete(digest)
  }
}

/** Whether there is a tag of that name, by the digest of the name. */
export function isNamed(tagged: string | undefined, name: string): boolean {
  return `,${tagged}`.includes(`,${name}`)
}
