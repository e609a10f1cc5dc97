// Rules that members of flows follow, be they nodes or children: names, joins, how many at a time.
import { EngineError } from '../errors.ts'
import { bounds, bytesMax, partsMax } from '../limits.ts'
import { checkWhole } from '../persistence/arguments.ts'
import type { FlowMember, Join } from '../persistence/backend.ts'

/** The names of the members that one builder, or one parent, has made. */
export class MemberNames {
  private readonly taken = new Set<string>()
  /** How many of each task got a name from here. */
  private readonly numbers = new Map<string, number>()

  /** The given name, or one after the task: the task's own, then numbered ones. */
  take(task: string, given: string | undefined): string {
    if (given !== undefined) checkMemberName(given)
    const name = given ?? this.next(task)
    if (this.taken.has(name)) {
      throw new EngineError('invalid_input', `name ${name} is taken`, {
        details: { argument: 'name', given: name },
      })
    }
    this.taken.add(name)
    return name
  }

  private next(task: string): string {
    for (let number = this.numbers.get(task) ?? 0; ; number++) {
      const name = number === 0 ? task : `${task}#${number}`
      this.numbers.set(task, number + 1)
      if (!this.taken.has(name)) return name
    }
  }
}

/** Throws `invalid_input` unless a member can be called so. */
function checkMemberName(name: unknown): void {
  const length = typeof name === 'string' ? Buffer.byteLength(name) : 0
  if (length >= 1 && length <= bytesMax.label) return
  throw new EngineError('invalid_input', `name must be text of 1 to ${bytesMax.label} bytes`, {
    details: { argument: 'name', given: String(name) },
  })
}

/** Throws `invalid_input` unless a quorum, and nothing else, says how many it needs. */
export function checkJoin({ policy, k }: Pick<Join, 'policy' | 'k'>): void {
  if ((policy === 'quorum') !== (k !== undefined)) {
    throw new EngineError('invalid_input', 'k is needed for a quorum, and only then', {
      details: { argument: 'k', policy },
    })
  }
  if (k !== undefined) checkWhole('k', k, bounds.quorum)
}

/** How many of the first members one call takes: it must not hold the server up. */
export function membersThatFit(members: readonly FlowMember[]): number {
  let bytes = 0
  const most = Math.min(members.length, partsMax.members)
  for (let count = 0; count < most; count++) {
    bytes += members[count]?.input.byteLength ?? 0
    if (bytes > bytesMax.page) return Math.max(1, count)
  }
  return most
}
