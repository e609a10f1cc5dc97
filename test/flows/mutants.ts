// Oracles with one wrong rule each: a scenario has to tell every one of them from the right one.
import { hasEnded } from './oracle/model.ts'
import { type Rules, rules } from './oracle/rules.ts'

export const mutants: Readonly<Record<string, Partial<Rules>>> = {
  'a skipped upstream counts as success': {
    voteOf: (kind, ending) => (ending === 'skipped' ? 's' : rules.voteOf(kind, ending)),
  },
  'a failed upstream counts as success': {
    voteOf: (kind, ending) => (ending === 'failed' ? 's' : rules.voteOf(kind, ending)),
  },
  'one success is enough for all': {
    verdictOf: (group, tally) =>
      group.policy === 'all' && tally.s > 0 ? 'satisfied' : rules.verdictOf(group, tally),
  },
  'a quorum is impossible with one vote too few': {
    verdictOf: (group, tally) => {
      const verdict = rules.verdictOf(group, tally)
      const isLost = tally.f + tally.x >= tally.n - group.k
      return group.policy === 'quorum' && verdict === 'pending' && isLost ? 'impossible' : verdict
    },
  },
  'nothing collects everything': {
    verdictOf: (group, tally) => rules.verdictOf({ ...group, collect: 'first' }, tally),
  },
  'an empty group stays undecided': {
    verdictOf: (group, tally) => (tally.n === 0 ? 'pending' : rules.verdictOf(group, tally)),
  },
  'what is impossible is always skipped': { whenImpossible: () => 'skip' },
  'what is impossible goes on all the same': { whenImpossible: () => 'resume' },
  'gates are forgotten': {
    placeOf: (node, nowMs) => rules.placeOf({ ...node, gated: false }, nowMs),
  },
  'delays are forgotten': {
    placeOf: (node, nowMs) => rules.placeOf({ ...node, dueMs: undefined }, nowMs),
  },
  'cancelled flows are claimed from': {
    isClaimable: (node, flow) => rules.isClaimable(node, { ...flow, state: 'open' }),
  },
  'ended work stays claimable': {
    isClaimable: (node, flow) => node.state === 'skipped' || rules.isClaimable(node, flow),
  },
  'pending work is not cancelled': {
    isDoomed: (node, flow) => flow.cancelPolicy !== 'cancel_pending' && rules.isDoomed(node, flow),
  },
  'running work is never cancelled': {
    isDoomed: (node, flow) => !node.held && rules.isDoomed(node, flow),
  },
  'cancelling the flow cancels everything': {
    isDoomed: (node, flow) => !hasEnded(node) && flow.state === 'cancelled',
  },
  'the first failure takes nobody with it': {
    isDoomed: (node, flow) => flow.state === 'cancelled' && rules.isDoomed(node, flow),
  },
  'a spared sibling fails the flow': {
    isBad: (node) => node.state === 'cancelled' || rules.isBad(node),
  },
  'failures do not fail the flow': { isBad: () => false },
  'flows without members complete': {
    flowEnd: (flow, nodes, bad) =>
      flow.sealed && nodes.length === 0 ? 'completed' : rules.flowEnd(flow, nodes, bad),
  },
  'flows end before they are sealed': {
    flowEnd: (flow, nodes, bad) => rules.flowEnd({ ...flow, sealed: true }, nodes, bad),
  },
  'the root does not count': {
    flowEnd: (flow, nodes, bad) => rules.flowEnd({ ...flow, completion: 'all' }, nodes, bad),
  },
  'shared upstreams are cancelled': {
    isNeedless: (node, out, _groups, flow) => rules.isNeedless(node, out, [], flow),
  },
  'siblings are never cancelled': { isNeedless: () => false },
  'sealed groups take more edges': { linkRefusal: () => undefined },
  'held groups take no more edges': {
    linkRefusal: (at) => (at.isNew || at.isOwnParent ? undefined : 'group_sealed'),
  },
  'rounds count what was counted before': { newRound: () => undefined },
  'votes are never taken back': { takesBack: () => false },
}
