// What the demo shows: progress, summary and report, and that all of it fits and is safe.

import { stripVTControlCharacters } from 'node:util'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { approvedText, askText, idleText } from '../../demo/ask.ts'
import type { PackageAudit } from '../../demo/audit.ts'
import { orderLines } from '../../demo/dependencies.ts'
import { sizeText, summarise } from '../../demo/overview.ts'
import { liveLine, Progress } from '../../demo/progress.ts'
import { reportText } from '../../demo/report.ts'
import type { RunResult } from '../../demo/run.ts'
import { summaryText } from '../../demo/summary.ts'

const longName = `@${'scope'.repeat(20)}/${'name'.repeat(20)}`

function audited(fields: Partial<PackageAudit>): PackageAudit {
  return {
    path: 'x',
    name: 'x',
    version: '1.0.0',
    expression: 'MIT',
    category: 'permissive',
    evidence: 'field and text',
    problems: [],
    bytes: 1000,
    attempts: 1,
    ...fields,
  }
}

const grave = {
  kind: 'disagreement',
  message: `says ${'MIT '.repeat(40)}${'y'.repeat(120)}`,
} as const
const result: RunResult = {
  audits: [
    audited({ attempts: 2 }),
    audited({
      name: longName,
      expression: `MIT OR ${'Apache-2.0 OR '.repeat(9)}ISC`,
      problems: [grave],
    }),
    ...Array.from({ length: 20 }, (_, index) =>
      audited({ expression: `LicenseRef-${index}`, category: 'unknown', problems: [grave] }),
    ),
    audited({ problems: [{ kind: 'no-text', message: 'no file holds the text of MIT' }] }),
  ],
  losses: [
    {
      package: { path: 'l', name: longName, version: '1' },
      outcome: 'failed',
      reason: 'EIO '.repeat(90),
    },
  ],
  earlier: { finished: 0, begun: 0, waiting: 0 },
  waiting: 0,
  interrupted: false,
}

const order = orderLines(
  { packages: [{ path: 'l', name: longName, version: '1\x1b[2J' }] },
  { order: [], before: [[]], cut: Array.from({ length: 9 }, () => ({ from: 0, to: 0 })) },
)
const options = {
  order,
  root: `/${'deep/'.repeat(40)}`,
  seconds: 1.25,
  report: 'r.md',
  colour: true,
}

describe('the summary', () => {
  const text = stripVTControlCharacters(summaryText(result, summarise(result.audits), options))

  it('fits into 80 columns', () => {
    for (const line of text.split('\n')) expect(line.length, line).toBeLessThanOrEqual(80)
  })

  it('tells what it leaves out', () => {
    expect(text).toContain('… and 7 more licences in the report')
    expect(text).toContain('… and 11 more in the report')
    expect(text).toContain('because they close circles (9):')
    expect(text).toContain('  … and 4 more\n')
  })

  it('shows the figures', () => {
    expect(text).toContain('23 packages, 22.5 KiB, 24 attempts, 1.3 s')
    expect(text).toMatch(/^ {2}MIT +2 +8\.7% {2}permissive$/m)
    expect(text).toMatch(/^ {2}unknown +20 +87\.0% {2}█+$/m)
    expect(text).toMatch(/^ +1 {2}ships no licence text$/m)
    expect(text).toContain('Not audited (1)')
  })

  it('says so when there is nothing to look at', () => {
    const calm = { ...result, audits: [audited({})], losses: [] }
    expect(summaryText(calm, summarise(calm.audits), options)).toContain('Nothing to look at')
  })
})

describe('the report', () => {
  it('lists every package', () => {
    const text = reportText('/tree', result, summarise(result.audits))
    const packages = text.slice(text.indexOf('## Packages')).trim().split('\n')
    expect(packages).toHaveLength(2 + 2 + result.audits.length)
    expect(text).toContain('| MIT | MIT License | yes | permissive | 2 |')
  })

  it('lets no stranger write Markdown into it', () => {
    const audits = [
      audited({ name: '<b>|[x](y)', problems: [{ ...grave, message: 'a\n# b | c' }] }),
    ]
    const text = reportText('/tree', { ...result, audits }, summarise(audits))
    expect(text).toContain('\\<b\\>\\|\\[x\\](y)@1.0.0')
    expect(text).toContain('a # b \\| c')
  })
})

describe('what asks for an approval', () => {
  const link = `http://127.0.0.1:54321/${'t'.repeat(130)}`
  const asked = {
    package: { path: 'x', name: longName, version: '1.0.0\x1b[2J' },
    licence: 'GPL-3.0-only (copyleft)',
    token: 't',
    url: link,
  }

  it('fits into 80 columns, but for the link, which has a line of its own', () => {
    const lines = [askText(asked), approvedText(asked), idleText(12_345, 23_456)]
      .join('\n')
      .split('\n')
    expect(lines.filter((line) => line.length > 80)).toEqual([link])
  })

  it('lets no stranger steer the terminal', () => {
    const short = { ...asked, package: { ...asked.package, name: 'short' } }
    expect(askText(short)).toContain('waiting: short@1.0.0?[2J, GPL-3.0-only (copyleft)\n')
  })
})

describe('progress', () => {
  beforeEach(() => {
    vi.useFakeTimers()
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  const run = (screen: { isTTY: boolean; columns?: number }) => {
    let written = ''
    const progress = new Progress({ ...screen, write: (text) => (written += text) }, 3)
    progress.ended('a@1', { retried: true, lost: false })
    progress.note('said')
    vi.advanceTimersByTime(2000)
    progress.ended('b@1', { retried: false, lost: true })
    progress.ended(longName, { retried: false, lost: false })
    progress.stop()
    progress.stop()
    vi.advanceTimersByTime(9000)
    return written
  }

  it('is one line on a terminal', () => {
    expect(run({ isTTY: true, columns: 0 })).toBe(
      '\r\x1b[2Ksaid\n' +
        '\r\x1b[2K██████░░░░░░░░░░░░░░ 33%  1/3  1 retried  a@1' +
        '\r\x1b[2K████████████████████100%  3/3  1 retried  1 lost\n',
    )
  })

  it('is a line now and then elsewhere', () => {
    expect(run({ isTTY: false })).toBe(
      'said\naudited 1 of 3 packages, 1 retried\naudited 3 of 3 packages, 1 retried, 1 lost\n',
    )
  })

  it('knows when nothing is left but to wait', () => {
    const progress = new Progress({ isTTY: false, write: () => true }, 3)
    progress.waiting(2)
    expect(progress.idle).toBe(false)
    progress.ended('a@1', { retried: false, lost: false })
    expect(progress.idle).toBe(true)
    progress.waiting(1)
    expect(progress.idle).toBe(false)
    progress.held(1)
    expect(progress.idle).toBe(true)
    progress.waiting(0)
    expect(progress.idle).toBe(false)
  })

  it('stays within the width that it is given', () => {
    const counts = { total: 99_999, ended: 9_999, retried: 999, lost: 99, waiting: 99, held: 9 }
    const figures = { ...counts, latest: longName }
    expect(liveLine(figures, 79)).toHaveLength(79)
    expect(liveLine(figures, 20)).toHaveLength(20)
  })
})

it.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [1024, '1.0 KiB'],
  [1_572_864, '1.5 MiB'],
])('%d bytes read as %s', (bytes, text) => {
  expect(sizeText(bytes)).toBe(text)
})
