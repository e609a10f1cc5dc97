// Runs the tests as `npm test` does: servers at hand first, then vitest with the given arguments.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { ensureServers } from './servers.ts'

const servers = await ensureServers()
const vitest = fileURLToPath(new URL('vitest.mjs', import.meta.resolve('vitest/package.json')))
const child = spawn(process.execPath, [vitest, 'run', ...process.argv.slice(2)], {
  stdio: 'inherit',
  env: {
    ...process.env,
    HOLDFAST_VALKEY_SERVER: servers.valkey,
    HOLDFAST_REDIS_SERVER: servers.redis,
  },
})
const [code] = await once(child, 'exit')
process.exitCode = code ?? 1
