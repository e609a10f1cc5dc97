// Every execution stands in the one index that its leaf names, and nothing stands where it must not.
import { leafOf } from '../../../src/machines/table.ts'
import { type Checker, type Fields, numberOf, type Stored } from '../observation.ts'

const routed: ReadonlySet<string> = new Set(['ready', 'resumed', 'reclaimable'])
const own: ReadonlySet<string> = new Set(['x', 'in', 'out', 'note', 'tags', 'attempts'])
const shared: ReadonlySet<string> = new Set(['lanes', 'config', 'leases', 'sleepers'])

const defaultRetentionMs = 86_400_000
const priorityStepMs = 1_000_000_000_000
const grantedScore = 9_000_000_000_000_000

function earliest(...times: readonly (number | undefined)[]): number | undefined {
  const known = times.filter((atMs) => atMs !== undefined)
  return known.length === 0 ? undefined : Math.min(...known)
}

/** The rule of the design, written once more and not taken from either implementation. */
function scoreOf(index: string, fields: Fields): number | undefined {
  const at = (name: string) => numberOf(fields, name)
  if (routed.has(index)) {
    if (at('grant_until') !== undefined) return grantedScore
    return (at('created_at') ?? 0) - (at('priority') ?? 0) * priorityStepMs
  }
  if (index === 'leased') return earliest(at('expires_at'), at('attempt_deadline_at'))
  if (index === 'delayed') return at('not_before')
  if (index !== 'terminal') return at('created_at')
  return (at('ended_at') ?? 0) + (at('retention_ms') ?? defaultRetentionMs)
}

function indexKey(index: string, { lane, capabilities }: Fields): string {
  if (!routed.has(index)) return index
  return capabilities === undefined ? `${index}:${lane}` : `${index}:${lane}|${capabilities}`
}

/** Key of a sorted set → the rows that it must have. */
function expectedRows(after: Stored): Map<string, Map<string, number>> {
  const expected = new Map<string, Map<string, number>>()
  const put = (key: string, id: string, score: number) =>
    expected.set(key, (expected.get(key) ?? new Map<string, number>()).set(id, score))
  for (const [id, fields] of after.executions) {
    put('executions', id, 0)
    const index = leafOf(fields['state'] ?? '')?.index ?? 'none'
    put(indexKey(index, fields), id, scoreOf(index, fields) ?? Number.NaN)
    const timer = earliest(numberOf(fields, 'deadline_at'), numberOf(fields, 'grant_until'))
    if (timer !== undefined && index !== 'terminal') put('timers', id, timer)
  }
  return expected
}

function checkKeys({ dump, executions }: Stored): string | undefined {
  for (const [key, entry] of dump) {
    const [kind = '', ...rest] = key.split(':')
    if (own.has(kind)) {
      if (!executions.has(rest.join(':'))) return `${key} belongs to nothing`
    } else if (kind === 'key' && entry.type === 'string') {
      const [id = ''] = Buffer.from(entry.value, 'hex').toString().split(' ')
      if (!executions.has(id)) return `${key} leads to nothing`
    } else if (entry.type !== 'zset' && kind !== 'routes' && !shared.has(key)) {
      return `${key} is unknown`
    }
  }
  return undefined
}

export function exactlyOneIndex(): Checker {
  return ({ after }) => {
    const expected = expectedRows(after)
    for (const [key, entry] of after.dump) {
      if (entry.type !== 'zset') continue
      const wanted = expected.get(key)
      const rows = after.rows(key)
      for (const [id, score] of rows) {
        if (wanted?.get(id) !== score) return `${id} is in ${key} with ${score}, not as it should`
      }
      if (rows.size !== wanted?.size) return `${key} misses some execution`
      expected.delete(key)
    }
    if (expected.size > 0) return `${[...expected.keys()].join(' and ')} should not be empty`
    for (const [id, { key }] of after.executions) {
      if (!after.dump.has(`in:${id}`)) return `${id} has lost its input`
      if (key !== undefined && !after.dump.has(`key:${key}`)) return `${id} has lost its key`
    }
    return checkKeys(after)
  }
}
