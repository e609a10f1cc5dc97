// Reads everything that servers store under a pattern, byte by byte.
import type { Redis } from 'ioredis'

// One step per server, so that nothing can change while it is read. Keys come sorted.
const dumpScript = `
local keys = redis.call('KEYS', ARGV[1])
table.sort(keys)
local out = {}
for _, key in ipairs(keys) do
  out[#out + 1] = key
  out[#out + 1] = redis.call('DUMP', key)
  out[#out + 1] = redis.call('PEXPIRETIME', key)
end
return out
`

/** Key → its serialised value and expiry. Equal dumps mean that nothing was written. */
export async function dumpServers(
  nodes: readonly Redis[],
  pattern: string,
): Promise<ReadonlyMap<string, string>> {
  const dump = new Map<string, string>()
  for (const node of nodes) {
    const flat = (await node.callBuffer('EVAL', dumpScript, 0, pattern)) as (Buffer | number)[]
    for (let at = 0; at < flat.length; at += 3) {
      const [key, value, expiry] = flat.slice(at, at + 3) as [Buffer, Buffer, number]
      dump.set(key.toString(), `${value.toString('hex')} ${expiry}`)
    }
  }
  return dump
}
