// Suspensions, waitpoints and signals: how states with them are told apart.
import type { ExecutionFields } from '../../src/persistence/embedded/execution-fields.ts'
import type { Keyspace } from '../../src/persistence/embedded/keyspace.ts'
import type { StoredExecution } from '../../src/persistence/embedded/record.ts'
import { readWaitpoint, type Waitpoint } from '../../src/persistence/waitpoint-record.ts'
import { executionId } from './subject.ts'

type Fields = Readonly<ExecutionFields>

function storedOf({ executions }: Keyspace): StoredExecution | undefined {
  return executions.get(executionId)
}

export function waitpointsOf(keyspace: Keyspace): readonly Waitpoint[] {
  const points = storedOf(keyspace)?.points ?? []
  return [...points].map(([name, text]) => readWaitpoint(name, String(text)))
}

export const signalCount = (keyspace: Keyspace) =>
  Number(storedOf(keyspace)?.signals?.get('count') ?? 0)

interface WaitBounds {
  readonly points: number
  readonly signals: number
  /** Whose resumptions are followed. */
  readonly mayResume: 'never' | 'by signals' | 'by anyone'
}

/** Whether no more has piled up than the bounds let. */
export function isWithinWaits(keyspace: Keyspace, bounds: WaitBounds): boolean {
  if (waitpointsOf(keyspace).length > bounds.points) return false
  if (signalCount(keyspace) > bounds.signals) return false
  const closed = storedOf(keyspace)?.wait?.get('closed')
  if (closed === undefined || bounds.mayResume === 'by anyone') return true
  return bounds.mayResume === 'by signals' && closed === 'resumed'
}

/** The times at which pending waitpoints expire. */
export function expiries(keyspace: Keyspace): readonly number[] {
  return waitpointsOf(keyspace).flatMap(({ state, expires_at: atMs }) =>
    state === 'pending' && atMs !== undefined ? [atMs] : [],
  )
}

/** Fields of a suspension whose value decides what can happen next, or what is told of it. */
const decisive = [
  'behaviour',
  'condition',
  'delay_ms',
  'closed',
  'closer',
  'count',
  'points',
] as const

/** What distinguishes states, of all that has to do with waiting. */
export function waitKey(keyspace: Keyspace, f: Fields): string {
  const stored = storedOf(keyspace)
  if (stored?.points === undefined) return ''
  const { wait } = stored
  const points = waitpointsOf(keyspace).map((point) => {
    const isOld = point.attempt !== f.attempt
    const bound = point.suspension === undefined ? '' : point.suspension === wait?.get('id')
    const lists = `${point.count} ${point.buffered} ${point.matched}`
    return [point.id, point.state, point.scope, isOld, point.run, bound, lists].join(' ')
  })
  const s = decisive.map((name) => String(wait?.get(name) ?? ''))
  const tokens = [...(wait?.keys() ?? [])].filter((name) => name.startsWith('+'))
  const isOwn = wait?.get('attempt') === String(f.attempt)
  const effects = [...(stored.signals ?? [])].flatMap(([name, record]) =>
    /^\d+$/.test(name) ? [String(record).split(' ')[8]] : [],
  )
  const rest = [isOwn, wait?.has('resumed_by'), wait?.has('escalated_at'), tokens.sort(), effects]
  return [...points, ...s, ...rest].join(';')
}

/** What a projection is about: how waits end by themselves, in which order they come, or both. */
export type Waits = 'behaviours' | 'orders' | 'endings'
