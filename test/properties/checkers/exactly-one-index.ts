// Every index holds exactly the rows that follow from the stored records, with their scores.
import { defaults, grantedScore, noDeadlineScore, priorityStepMs } from '../../../src/limits.ts'
import { leafOf } from '../../../src/machines/table.ts'
import type { DumpedValue } from '../../../src/persistence/embedded/dump.ts'
import type { Fields } from '../world.ts'
import type { Performed } from './performed.ts'

const routed = new Set(['ready', 'resumed', 'reclaimable'])

/** What is about no execution: segments of the feed, budgets and reports to them. */
const others = new Set(['segments', 'budgets', 'budget_times', 'unsettled', 'untold'])

/** What stands in these is not about one execution each. */
const ofLimits = /^((slots|starts|waiters|turns):|owed$)/

function earliest(...texts: (string | undefined)[]): number | undefined {
  const known = texts.filter((text) => text !== undefined)
  return known.length === 0 ? undefined : Math.min(...known.map(Number))
}

function scoreOf(index: string, x: Fields): number | undefined {
  const createdAt = Number(x.created_at)
  if (routed.has(index)) {
    if (x.grant_until !== undefined) return grantedScore
    return createdAt - Number(x.priority ?? 0) * priorityStepMs
  }
  if (index === 'leased') return earliest(x.expires_at, x.attempt_deadline_at)
  if (index === 'delayed') return earliest(x.not_before)
  if (index === 'suspended') return earliest(x.wait_until) ?? noDeadlineScore
  if (index === 'terminal' && x.flow !== undefined) return noDeadlineScore
  if (index === 'terminal')
    return Number(x.ended_at) + Number(x.retention_ms ?? defaults.retentionMs)
  return createdAt
}

function routeOf({ lane = '', capabilities }: Fields): string {
  return capabilities === undefined ? lane : `${lane}|${capabilities}`
}

/** The index of each tag is named by the second half of its pair of digests. */
function tagsOf(stored: DumpedValue | undefined): string[] {
  if (stored?.type !== 'string') return []
  const pairs = Buffer.from(stored.value, 'hex').toString().split(',')
  return pairs.map((pair) => pair.slice(22))
}

/** `key member` → score of all index rows that there should be. */
function expectedRows({ after }: Performed): Map<string, number | undefined> {
  const rows = new Map<string, number | undefined>()
  for (const [id, fields] of after.records) {
    const index = leafOf(fields.state ?? '')?.index ?? 'unknown'
    const share = index === 'ready' && fields.share !== undefined ? `||${fields.share}` : ''
    const key = routed.has(index) ? `${index}:${routeOf(fields)}${share}` : index
    rows.set(`${key} ${id}`, scoreOf(index, fields))
    rows.set(`executions ${id}`, 0)
    if (fields.flow !== undefined) rows.set(`members:${fields.flow} ${id}`, 0)
    for (const digest of tagsOf(after.dump.get(`tagged:${id}`))) rows.set(`tag:${digest} ${id}`, 0)
    if (fields.ended_at !== undefined) continue
    const waitsFor = fields.withheld === 'budget' ? (fields.budgets ?? '').split(',') : []
    for (const budget of waitsFor) {
      rows.set(`budget_waiters:${budget} ${id}`, Number(fields.created_at))
    }
    const timer = earliest(
      fields.deadline_at,
      fields.grant_until,
      fields.wait_until,
      fields.permit_until,
    )
    if (timer !== undefined) rows.set(`timers ${id}`, timer)
  }
  for (const [key, { type, value }] of after.dump) {
    if (type !== 'hash' || !key.startsWith('flow:')) continue
    const id = key.slice('flow:'.length)
    rows.set(`flows ${id}`, 0)
    const purgeAt = new Map(value).get('purge_at')
    if (purgeAt !== undefined) rows.set(`flow_ends ${id}`, Number(purgeAt))
  }
  return rows
}

export function exactlyOneIndex(performed: Performed): string | undefined {
  const expected = expectedRows(performed)
  let found = 0
  for (const [key, { type, value }] of performed.after.dump) {
    // Limits have their own checker.
    if (type !== 'zset' || others.has(key) || ofLimits.test(key)) continue
    for (const [member, score] of value) {
      if (key === 'timers' && member.startsWith('|')) continue
      found += 1
      const row = `${key} ${member}`
      if (!expected.has(row)) return `the row ${row} should not be there`
      if (expected.get(row) !== Number(score)) {
        return `the row ${row} scores ${score}, not ${expected.get(row)}`
      }
    }
  }
  return found === expected.size ? undefined : `there are ${found} rows, not ${expected.size}`
}
