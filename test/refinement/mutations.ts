// Mistakes that somebody could make in the Lua source, each as an edit of one module.
import { edited, moduleText } from '../support/observing-library.ts'

export interface Mutation {
  readonly name: string
  readonly module: string
  /** Text that stands in the module exactly once, and what stands there instead. */
  readonly before: string
  readonly after: string
  /** The projection that is about it, where it shows soonest. */
  readonly about?: string
}

export const mutations: readonly Mutation[] = [
  {
    name: 'the order of the fence is swapped: an expired lease is told before a newer one',
    module: 'lib.fence',
    before: '  if not own then',
    after: '  if not own and x.f.state == "leased.held" then',
  },
  {
    name: 'an epoch is used again when the clock has not moved',
    module: 'lib.lease',
    before: 'math.max((record.number(x, "epoch") or 0) + 1, now_us)',
    after: 'math.max(record.number(x, "epoch") or 0, now_us)',
  },
  {
    name: 'the fence ignores the lease id',
    module: 'lib.fence',
    before: 'x.f.lease_id == arg.lease_id\n    and ',
    after: '',
  },
  {
    name: 'a settlement answers whoever asks, not only the lease that made it',
    module: 'lib.fence',
    before: 'if own and x.f.settled ~= nil then',
    after: 'if x.f.settled ~= nil then',
  },
  {
    name: 'what is due exactly now is not due yet',
    module: 'lib.due',
    before: 'at_ms ~= nil and at_ms <= now_ms',
    after: 'at_ms ~= nil and at_ms < now_ms',
  },
  {
    name: 'work that was delayed stays in the index of delayed work',
    module: 'lib.transition',
    before: 'if left.index ~= "none" and left.index ~= leaf.index then',
    after: 'if left.index ~= "none" and left.index ~= leaf.index and left.index ~= "delayed" then',
  },
  {
    name: 'something is written before a stale worker is refused',
    module: 'lib.fence',
    before: '  if not own then\n',
    after: '  if not own then\n    record.set(x, "updated_at", now_ms)\n    record.save(x)\n',
  },
  {
    name: 'a delay ends one millisecond early',
    module: 'lib.due',
    before: 'is_due(x, "not_before", now_ms)',
    after: 'is_due(x, "not_before", now_ms + 1)',
  },
  {
    name: 'a policy grants one attempt too many',
    about: 'retries',
    module: 'lib.retry',
    before: 'if retries + 1 >= policy.attempts then',
    after: 'if retries >= policy.attempts then',
  },
  {
    name: 'the feed tells a failure by the reason of an earlier end',
    module: 'lib.feed',
    before: 'fail = "class"',
    after: 'fail = "reason"',
  },
  {
    name: 'a signal at a waitpoint of an earlier suspension counts for the one that is open',
    about: 'waits in any order',
    module: 'ops.signal.deliver',
    before:
      '  elseif point.state == "active" then\n' +
      '    -- Bound to an earlier suspension it is closed, even if nobody closed it.\n' +
      '    return point.suspension ~= x.f.suspension and closed(arg) or nil',
    after: '  elseif point.suspension ~= nil and x.f.suspension ~= nil then\n    return nil',
  },
  {
    name: 'a suspension runs out of time one millisecond early',
    about: 'waits and their time',
    module: 'lib.due',
    before: 'is_due(x, "wait_until", now_ms)',
    after: 'is_due(x, "wait_until", now_ms + 1)',
  },
  {
    name: 'signals that came before the suspension are not offered to it',
    about: 'waits in any order',
    module: 'ops.execution.suspend',
    before: 'local early = buffered(x, points)',
    after: 'local early = {}',
  },
  {
    name: 'what was handed to an operator may still be resumed by a signal',
    about: 'waits and their time',
    module: 'lib.resume',
    before: 'condition = "operator",\n',
    after: '',
  },
  {
    name: 'a settle that is repeated is written again',
    module: 'lib.fence',
    before: '    return nil, replay(rest)',
    after:
      '    record.set(settled, "updated_at", now_ms)\n    record.save(settled)\n' +
      '    return nil, replay(rest)',
  },
  ...shortWay([
    ['asks for no lease id', '    or lease_id ~= given_lease_id\n', ''],
    ['asks for no epoch', '    or epoch ~= given_epoch\n', ''],
    ['asks for no attempt', '    or attempt ~= given_attempt\n', ''],
    ['completes in the very millisecond of expiry', 'expires_at <= now_ms', 'expires_at < now_ms'],
    ['keeps no settlement', '"complete " .. digest', '""'],
    [
      'leaves completed work in the index of leases',
      'pending.remove_row(keys.index("leased"), id)',
      '',
    ],
    ['keeps the lease of completed work findable', 'leases.leave(lease_id)', ''],
    [
      'tells nobody of a completion',
      'feed.move(id, "complete", completed, attempt, epoch, worker, "")',
      '',
    ],
  ]),
  {
    name: 'work with a deadline passes for plain',
    about: 'endings',
    module: 'lib.record',
    before: 'local dormant = {\n',
    after: 'local dormant = {\n  deadline_at = true,\n',
  },
]

/** The same of the short way of plain work, which must not be shorter than the promises. */
function shortWay(edits: readonly (readonly [what: string, before: string, after: string])[]) {
  const module = 'lib.plain'
  return edits.map(([what, before, after]) => ({
    name: `the short way ${what}`,
    about: 'lease and fence',
    module,
    before,
    after,
  }))
}

/** The changed text of each module that a mutation touches. */
export function mutated({ module, before, after }: Mutation): Readonly<Record<string, string>> {
  return { [module]: edited(moduleText(module), before, after) }
}
