// Cuts a graph into changes that are small enough for one call each.

import type { ExecutionId } from '../ids.ts'
import { partsMax } from '../limits.ts'
import type { FlowEdge, FlowMember, GraphChange, Join } from '../persistence/backend.ts'
import { membersThatFit } from './member.ts'

/** A member with all that leads to it. */
export interface PlannedMember {
  readonly member: FlowMember
  readonly edges: readonly FlowEdge[]
  readonly join: Join | undefined
}

interface Draft {
  readonly members: FlowMember[]
  readonly edges: FlowEdge[]
  readonly joins: (Join & { readonly downstream: ExecutionId })[]
  readonly seal: ExecutionId[]
}

const emptyDraft = (): Draft => ({ members: [], edges: [], joins: [], seal: [] })

function hasRoom({ members, edges }: Draft, member: FlowMember, edgeCount: number): boolean {
  const fits = membersThatFit([...members, member]) > members.length
  return fits && edges.length + edgeCount <= partsMax.edges
}

/**
 * The members in the given order, in which upstreams come first. A member with more edges than one
 * call takes is held until its last one is there. With the last change the flow may end.
 */
export function graphChanges(planned: readonly PlannedMember[]): readonly GraphChange[] {
  const changes: Draft[] = [emptyDraft()]
  let draft = changes[0] as Draft
  const next = () => {
    draft = emptyDraft()
    changes.push(draft)
  }
  for (const { member, edges, join } of planned) {
    const isWide = edges.length > partsMax.edges
    if (!hasRoom(draft, member, isWide ? 0 : edges.length)) next()
    draft.members.push(isWide ? { ...member, hold: true } : member)
    if (join !== undefined) draft.joins.push({ ...join, downstream: member.id })
    if (!isWide) draft.edges.push(...edges)
    for (let at = 0; isWide && at < edges.length; at += partsMax.edges) {
      next()
      draft.edges.push(...edges.slice(at, at + partsMax.edges))
    }
    if (isWide) draft.seal.push(member.id)
  }
  return changes.map((change) => ({ ...change, finish: change === draft }))
}
