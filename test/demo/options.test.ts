// The command line of the demo, and its injected fault.

import { expect, it } from 'vitest'
import { isFaulty } from '../../demo/fault.ts'
import { Misuse, readOptions } from '../../demo/options.ts'

const read = (...args: string[]) => readOptions(args, '/home/me', '/project')

it('has defaults', () => {
  expect(read()).toEqual({
    path: '/project',
    url: undefined,
    directory: '/home/me/.holdfast/demo',
    report: '/home/me/.holdfast/licence-report.md',
    json: false,
    fresh: false,
    paceMs: 0,
    approveAll: false,
    port: undefined,
    help: false,
  })
})

it('takes paths from where it is called, and puts the report beside the directory', () => {
  expect(read('--path', '../other', '--dir', 'state', '--pace', '20')).toMatchObject({
    path: '/home/other',
    directory: '/home/me/state',
    report: '/home/me/licence-report.md',
    paceMs: 20,
  })
  expect(read('--report', 'r.md').report).toBe('/home/me/r.md')
  expect(read('--approve-all', '--port', '4711')).toMatchObject({ approveAll: true, port: 4711 })
})

it.each([
  [['--unknown']],
  [['stray']],
  [['--path']],
  [['--path=']],
  [['--json=yes']],
  [['--url', 'localhost']],
  [['--pace', 'slow']],
  [['--pace=-1']],
  [['--pace', '99999999']],
  [['--port', '0']],
  [['--port', '65536']],
  [['--approve-all=no']],
])('refuses %j', (args) => {
  expect(() => read(...args)).toThrow(Misuse)
})

it('hits about one package in seven, and always the same', () => {
  const names = Array.from({ length: 7000 }, (_, index) => `package-${index}`)
  const hit = names.filter(isFaulty)
  expect(hit.length).toBeGreaterThan(900)
  expect(hit.length).toBeLessThan(1100)
  expect(names.filter(isFaulty)).toEqual(hit)
})
