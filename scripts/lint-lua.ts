// Checks the layout of the Lua code with stylua and its sense with luacheck.

import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { findOrInstall } from './install-servers.ts'

const stylua = fileURLToPath(import.meta.resolve('@johnnymorganz/stylua-bin/run.js'))
const { luacheck } = await findOrInstall('luacheck')

// Generated Lua is laid out by its generator, so only what people write is checked.
const styluaArgs = ['--check', '--glob', '**/*.lua', '--glob', '!**/generated/**', '--', 'lua']
check('stylua', process.execPath, [stylua, ...styluaArgs])
check('luacheck', luacheck, ['--quiet', '--codes', '--no-color', 'lua'])

function check(name: string, command: string, args: string[]): void {
  const { status, error } = spawnSync(command, args, { stdio: 'inherit' })
  if (status === 0) return
  console.error(`${name}: lua/ does not pass${error ? ` (${error.message})` : ''}`)
  process.exitCode = 1
}
