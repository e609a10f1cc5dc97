// The small fields of one execution, under the names that Valkey stores them with.

/** Fields with whole numbers; flags are 1 when they hold and absent when they do not. */
interface NumberFields {
  attempt: number | undefined
  attempt_deadline_at: number | undefined
  attempt_left_ms: number | undefined
  attempt_timeout_ms: number | undefined
  created_at: number
  deadline_at: number | undefined
  /** 1 while the inbound edges hold it back. */
  deps: 1 | undefined
  ended_at: number | undefined
  epoch: number | undefined
  expires_at: number | undefined
  grant_until: number | undefined
  has_down: 1 | undefined
  has_up: 1 | undefined
  large: 1 | undefined
  lease_ms: number | undefined
  not_before: number | undefined
  noted: 1 | undefined
  parked: 1 | undefined
  /** Until when the slot is kept for admitted work that nobody has claimed. */
  permit_until: number | undefined
  priority: number | undefined
  progress: number | undefined
  reclaims: number | undefined
  reclaims_max: number | undefined
  replaying: 1 | undefined
  replays: number | undefined
  retention_ms: number | undefined
  retries: number | undefined
  /** 1 once the execution has reported usage. */
  spent: 1 | undefined
  started_at: number | undefined
  /** 1 while the attempt has an open stream, 0 when there are only closed ones. */
  streamed: 0 | 1 | undefined
  tagged: 1 | undefined
  tailed: number | undefined
  /** Number of its last request for a slot. */
  ticket: number | undefined
  updated_at: number
  wait_until: number | undefined
  watched: 1 | undefined
}

interface TextFields {
  attempt_type: string | undefined
  block_reason: string | undefined
  /** Ids of its budgets, joined by commas. */
  budgets: string | undefined
  capabilities: string | undefined
  class: string | undefined
  flow: string | undefined
  grant_id: string | undefined
  grant_worker: string | undefined
  key: string | undefined
  lane: string
  lease_id: string | undefined
  lease_kind: string | undefined
  limit: string | undefined
  reason: string | undefined
  replay_id: string | undefined
  retry: string | undefined
  settled: string | undefined
  /** Its key, by which limits count and turns are taken. */
  share: string | undefined
  /** The bucket in which it holds a slot. */
  slot: string | undefined
  state: string
  suspension: string | undefined
  task: string
  /** The bucket in which it waits for a slot. */
  waits_for: string | undefined
  /** Who keeps it back, besides an operator. */
  withheld: string | undefined
  worker: string | undefined
}

/** The fields of an execution; an absent one is undefined. */
export interface ExecutionFields extends NumberFields, TextFields {}

export type FieldName = keyof ExecutionFields

// Naming every field up front gives all records one shape, which makes copies and reads cheap.
const noNumbers: NumberFields = {
  attempt: undefined,
  attempt_deadline_at: undefined,
  attempt_left_ms: undefined,
  attempt_timeout_ms: undefined,
  created_at: 0,
  deadline_at: undefined,
  deps: undefined,
  ended_at: undefined,
  epoch: undefined,
  expires_at: undefined,
  grant_until: undefined,
  has_down: undefined,
  has_up: undefined,
  large: undefined,
  lease_ms: undefined,
  not_before: undefined,
  noted: undefined,
  parked: undefined,
  permit_until: undefined,
  priority: undefined,
  progress: undefined,
  reclaims: undefined,
  reclaims_max: undefined,
  replaying: undefined,
  replays: undefined,
  retention_ms: undefined,
  retries: undefined,
  spent: undefined,
  started_at: undefined,
  streamed: undefined,
  tagged: undefined,
  tailed: undefined,
  ticket: undefined,
  updated_at: 0,
  wait_until: undefined,
  watched: undefined,
}

const noTexts: TextFields = {
  attempt_type: undefined,
  block_reason: undefined,
  budgets: undefined,
  capabilities: undefined,
  class: undefined,
  flow: undefined,
  grant_id: undefined,
  grant_worker: undefined,
  key: undefined,
  lane: '',
  lease_id: undefined,
  lease_kind: undefined,
  limit: undefined,
  reason: undefined,
  replay_id: undefined,
  retry: undefined,
  settled: undefined,
  share: undefined,
  slot: undefined,
  state: 'absent',
  suspension: undefined,
  task: '',
  waits_for: undefined,
  withheld: undefined,
  worker: undefined,
}

/** The fields of an execution that does not exist yet. */
export const absentFields: Readonly<ExecutionFields> = { ...noNumbers, ...noTexts }

const names = Object.keys(absentFields).sort() as FieldName[]

/** Whether the field holds a whole number, or undefined when there is no such field. */
export function isNumberField(name: string): boolean | undefined {
  if (Object.hasOwn(noNumbers, name)) return true
  return Object.hasOwn(noTexts, name) ? false : undefined
}

/** The fields that are there, as text, in the order of their names. */
export function fieldTexts(fields: Readonly<ExecutionFields>): [name: string, text: string][] {
  const texts: [string, string][] = []
  for (const name of names) {
    const value = fields[name]
    if (value !== undefined) texts.push([name, String(value)])
  }
  return texts
}
