// Plans as the arguments of stored operations.
import type { Arguments } from '../../../src/persistence/contract.ts'
import {
  type EdgePart,
  type JoinPart,
  type MemberPart,
  partPlans,
} from '../../../src/persistence/generated/operations.ts'
import type { ApplyPlan, NodePlan } from '../vocabulary.ts'

export const flowId = '1'.repeat(26)

/** Failures of one class are tried again after ten milliseconds, all others are final. */
const retry = '1000 fixed 10 10 1000 0 t'

/** Ids for names: in the order in which the names come up, as claims break ties by them. */
export class NodeIds {
  private readonly ids = new Map<string, string>()
  private readonly names = new Map<string, string>()
  private readonly lanes = new Map<string, string>()

  idOf(name: string): string {
    const known = this.ids.get(name)
    if (known !== undefined) return known
    const id = `2${String(this.ids.size).padStart(25, '0')}`
    this.ids.set(name, id)
    this.names.set(id, name)
    return id
  }

  nameOf(id: string): string {
    return this.names.get(id) ?? id
  }

  setLane(name: string, lane: string): void {
    this.lanes.set(name, lane)
  }

  laneOf(name: string): string {
    return this.lanes.get(name) ?? name
  }
}

type Parts = Pick<Arguments<'flow.apply'>, 'members' | 'edges' | 'joins' | 'seal' | 'finish'>

export function partsOf(plan: ApplyPlan, ids: NodeIds): Parts {
  const { nodes = [], edges = [], groups = [], seal = [], finish = false } = plan
  return {
    members: nodes.map((node) => memberOf(node, ids)),
    edges: edges.map(
      ({ up, down, kind = 'success', name }): EdgePart => ({
        upstream: ids.idOf(up),
        downstream: ids.idOf(down),
        kind,
        name,
      }),
    ),
    joins: groups.map(
      ({ down, policy, k, remaining, impossible, collect }): JoinPart => ({
        downstream: ids.idOf(down),
        policy,
        k,
        remaining,
        impossible,
        collect,
      }),
    ),
    seal: seal.length === 0 ? undefined : seal.map((name) => ids.idOf(name)).join(','),
    finish,
  }
}

/** All of these, and nothing said of any. */
export function unsetOf(plan: readonly { readonly name: string }[]): object {
  return Object.fromEntries(plan.map(({ name }) => [name, undefined]))
}

/** A member about which nothing is said. */
const unset = unsetOf(partPlans.members ?? []) as MemberPart

function memberOf(
  { name, hold = false, delayMs, deadlineMs, lane }: NodePlan,
  ids: NodeIds,
): MemberPart {
  if (lane !== undefined) ids.setLane(name, lane)
  return {
    ...unset,
    id: ids.idOf(name),
    lane: ids.laneOf(name),
    task: 'task',
    input: Buffer.from(name),
    delay_ms: delayMs,
    deadline_ms: deadlineMs,
    retry,
    hold,
  }
}
