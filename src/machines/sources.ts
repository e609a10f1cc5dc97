// Who makes each event of the lifecycle happen.
import type { ExecutionEventName } from './execution.ts'

/** Who made something happen. */
export type EventSource =
  | 'submitter'
  | 'worker'
  | 'operator'
  | 'clock'
  | 'signal'
  | 'flow'
  | 'limit'
  | 'budget'

/** Undefined for events that come too often, and say too little, to be told in the feed. */
export const eventSources: Readonly<Record<ExecutionEventName, EventSource | undefined>> = {
  submit: 'submitter',
  claim: 'worker',
  renew: undefined,
  progress: undefined,
  complete: 'worker',
  fail: 'worker',
  cancel: 'worker',
  delay: 'worker',
  suspend: 'worker',
  waitChildren: 'worker',
  loseLease: 'clock',
  revokeLease: 'operator',
  timeOut: 'clock',
  promote: 'clock',
  resume: 'signal',
  lapse: 'clock',
  childrenSettled: 'flow',
  dependencyFailed: 'flow',
  block: 'operator',
  unblock: 'operator',
  withhold: 'limit',
  admit: 'limit',
  exhaust: 'budget',
  reprioritize: 'operator',
  cancelExecution: 'operator',
  expire: 'clock',
  skip: 'flow',
  replay: 'operator',
}

/**
 * How a source is written in the feed: a worker by its name, anybody else behind a bar, which no
 * name contains.
 */
export const sourceMark = '|'
