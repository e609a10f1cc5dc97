// The human in the demo: links that wait, answers by POST, and waiting that outlives a kill.

import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { decisionFrom } from '../../demo/approval.ts'
import { isFaulty } from '../../demo/fault.ts'
import { type RunningServer, startServer } from '../../scripts/servers.ts'
import { kinds } from '../engine/engines.ts'
import { manifestOf, type Run, useDemo } from './demo-process.ts'

const plain = Array.from({ length: 12 }, (_, index) => `plain-${index}`)
const asking = {
  file: 'MPL-2.0',
  library: 'LGPL-3.0-or-later',
  mystery: undefined,
  strong: 'GPL-3.0-only',
}
const licences: Readonly<Record<string, string | undefined>> = {
  ...Object.fromEntries(plain.map((name) => [name, 'MIT'])),
  ...asking,
}
const names = Object.keys(licences)
const figures = {
  packages: names.length,
  executions: { completed: names.length, failed: 0, cancelled: 0, expired: 0, skipped: 0 },
  attempts: names.length + names.filter(isFaulty).length,
  steps: 0,
  bytes: names.reduce((sum, name) => sum + manifestOf(name, licences[name]).length, 0),
  resumed: 4,
}
const demo = useDemo(licences)
const jsonType = { 'content-type': 'application/json' }

/** Links by package, as soon as nothing but waiting is left. */
async function linksOf(run: Run): Promise<Record<string, string>> {
  const text = await run.said(/Everything else is done: 4 packages wait/)
  const asked = text.matchAll(/^waiting: (\w+)@1\.0\.0, .*\n.*curl .*\\\n(http\S+)$/gm)
  return Object.fromEntries([...asked].map(([, name, link]) => [name, link]))
}

function tokensOf(links: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(links).map(([name, link]) => [name, new URL(link).pathname]),
  )
}

async function answer(link: string | undefined, body: string, headers = jsonType): Promise<number> {
  return (await fetch(`${link}`, { method: 'POST', headers, body })).status
}

describe.each(kinds)('an audit that needs approval, on %s', (kind) => {
  let server: RunningServer | undefined
  beforeAll(async () => {
    if (kind === 'valkey') server = await startServer({ flavour: 'valkey' })
  })
  afterAll(() => server?.stop())

  const start = (...args: string[]) => {
    const place = server === undefined ? [] : ['--url', server.url]
    return demo.run('--path', 'tree', '--dir', 'state/engine', '--json', ...place, ...args)
  }
  const report = () => readFile(join(demo.place, 'state/licence-report.md'), 'utf8')

  it('prints signed links, and ends when each was answered', async () => {
    const run = start()
    const links = await linksOf(run)
    expect(Object.keys(links).sort()).toEqual(Object.keys(asking))
    const page = await fetch(`${links.strong}`)
    expect(page.headers.get('content-type')).toContain('text/html')
    expect(await page.text()).toContain('approve strong@1.0.0, GPL-3.0-only (copyleft)')
    expect(await answer(links.file, '{"approve":true}')).toBe(202)
    expect(await answer(links.library, '', { 'content-type': '' })).toBe(202)
    expect(await answer(links.strong, '{"approve":false}')).toBe(202)
    await run.said(/^audited 15 of 16 packages.* 1 waiting$/m)
    expect(await answer(links.file, '{"approve":false}')).toBe(410)
    expect(await answer(`${links.mystery}x`, '{"approve":true}')).toBe(401)
    expect(await answer(links.mystery, '{"approve":true}')).toBe(202)

    const { status, stdout, stderr } = await run.ended
    expect(status).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject(figures)
    expect(stderr).toContain('3 licences approved\nRejected (1)\n  strong@1.0.0: GPL-3.0-only')
    const written = await report()
    expect(written).toContain('| strong@1.0.0 | strong | GPL-3.0-only | rejected |')
    expect(written).toContain('| mystery@1.0.0 | mystery | NONE | approved |')
  })

  it('still waits under the same tokens after kill -9, and repeats nothing', async () => {
    const killed = start()
    const before = await linksOf(killed)
    expect(await answer(before.file, '{"approve":true}')).toBe(202)
    await killed.said(/^audited 13 of 16 packages.* 3 waiting$/m)
    killed.child.kill('SIGKILL')
    await killed.ended

    const { file: _, ...left } = tokensOf(before)
    const run = start()
    await run.said(/Everything else is done: 3 packages wait/)
    const text = await run.said(/waiting for approval: 3 packages/)
    expect(text).toContain('continuing: 13 of 16 packages were already finished')
    const after = text.matchAll(/^waiting: (\w+)@.*\n.*\n(http\S+)$/gm)
    const links = Object.fromEntries([...after].map(([, name, link]) => [name, link as string]))
    expect(tokensOf(links)).toEqual(left)
    for (const link of Object.values<string>(links)) {
      expect(await answer(link, '{"approve":true}')).toBe(202)
    }
    const { status, stdout } = await run.ended
    expect(status).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject(figures)
  })

  it('asks again when the answer is none', async () => {
    const run = start()
    const links = await linksOf(run)
    expect(await answer(links.strong, '{"aprove":true}')).toBe(202)
    const twice = /^waiting: strong@.*\n.*\n(http\S+)$[\s\S]*^waiting: strong@.*\n.*\n(http\S+)$/m
    const [, first, second] = twice.exec(await run.said(twice)) ?? []
    expect(first).toBe(links.strong)
    expect(await answer(first, '{"approve":true}')).toBe(410)
    for (const link of [second, links.file, links.library, links.mystery]) {
      expect(await answer(link, '{"approve":true}')).toBe(202)
    }
    expect(JSON.parse((await run.ended).stdout)).toMatchObject(figures)
  })

  it('approves all when told to, and prints the same figures as anywhere', async () => {
    const first = await start('--approve-all').ended
    expect(first.status).toBe(0)
    expect(first.stderr).toContain('approved strong@1.0.0, GPL-3.0-only (copyleft)')
    expect(first.stderr).not.toContain('http')
    const { seconds: _, report: path, ...rest } = JSON.parse(first.stdout)
    expect(rest).toEqual(figures)
    expect(path).toBe(join(demo.place, 'state/licence-report.md'))
    expect(JSON.parse((await start().ended).stdout)).toMatchObject(figures)
  })

  it('stops while it waits, says so, and goes on with --approve-all', async () => {
    const stopped = start()
    await linksOf(stopped)
    stopped.child.kill('SIGINT')
    const { status, stderr } = await stopped.ended
    expect(status).toBe(130)
    expect(stderr).toContain('stopped: 12 of 16 packages are finished.')
    expect(stderr).toContain('4 packages waiting for approval: new links come then.')
    const { stdout } = await start('--approve-all').ended
    expect(JSON.parse(stdout)).toMatchObject(figures)
  })
})

it('takes approvals where it is told to, or says why it cannot', async () => {
  const other = createServer()
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
  const { port } = other.address() as AddressInfo
  const args = ['--path', 'tree', '--dir', 'state/engine', '--port', `${port}`]
  const refused = await demo.run(...args).ended
  expect(refused.status).toBe(2)
  expect(refused.stderr).toContain(`--port ${port} cannot be used`)
  await new Promise((resolve) => other.close(resolve))
  const run = demo.run(...args)
  const links = await linksOf(run)
  expect(new URL(`${links.file}`).port).toBe(`${port}`)
})

it.each([
  [undefined, 'approved'],
  [{ approve: true }, 'approved'],
  [{ approve: false }, 'rejected'],
  ['{"approve":false}', 'rejected'],
  ['approve', undefined],
  [{ approve: 'yes' }, undefined],
  [null, undefined],
  [new Uint8Array(3), undefined],
])('%j counts as %s', (payload, decision) => {
  expect(decisionFrom(payload)).toBe(decision)
})
