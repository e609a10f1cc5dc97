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

// The same, but for large hashes, whose fields a server lists in another order now and then.
const comparableScript = `
local keys = redis.call('KEYS', ARGV[1])
table.sort(keys)
local out = {}
local function sorted(key)
  local flat, pairs_of = redis.call('HGETALL', key), {}
  for position = 1, #flat, 2 do
    local name, value = flat[position], flat[position + 1]
    pairs_of[#pairs_of + 1] = #name .. ':' .. name .. #value .. ':' .. value
  end
  table.sort(pairs_of)
  return table.concat(pairs_of)
end
for _, key in ipairs(keys) do
  local is_large = redis.call('OBJECT', 'ENCODING', key) == 'hashtable'
  local is_hash = is_large and redis.call('TYPE', key).ok == 'hash'
  out[#out + 1] = key
  out[#out + 1] = is_hash and sorted(key) or redis.call('DUMP', key)
  out[#out + 1] = redis.call('PEXPIRETIME', key)
end
return out
`

/** Key → its value and expiry as text. Equal dumps mean that nothing was written. */
export async function dumpServers(
  nodes: readonly Redis[],
  pattern: string,
): Promise<ReadonlyMap<string, string>> {
  const dump = new Map<string, string>()
  for (const node of nodes) {
    const found = await node.callBuffer('EVAL', comparableScript, 0, pattern)
    const flat = found as (Buffer | number)[]
    for (let at = 0; at < flat.length; at += 3) {
      const [key, value, expiry] = flat.slice(at, at + 3) as [Buffer, Buffer, number]
      dump.set(key.toString(), `${value.toString('hex')} ${expiry}`)
    }
  }
  return dump
}

// What is stored, whatever its encoding: two keyspaces that behave alike read alike.
const canonicalScript = `
local keys = redis.call('KEYS', ARGV[1])
table.sort(keys)
local out = {}
for _, key in ipairs(keys) do
  local kind = redis.call('TYPE', key).ok
  local value
  if kind == 'string' then
    value = { redis.call('GET', key) }
  elseif kind == 'hash' then
    value = redis.call('HGETALL', key)
    local names, by_name = {}, {}
    for position = 1, #value, 2 do
      names[#names + 1] = value[position]
      by_name[value[position]] = value[position + 1]
    end
    table.sort(names)
    value = {}
    for _, name in ipairs(names) do
      value[#value + 1] = name .. '=' .. by_name[name]
    end
  elseif kind == 'zset' then
    value = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
  elseif kind == 'set' then
    value = redis.call('SMEMBERS', key)
    table.sort(value)
  else
    value = redis.call('LRANGE', key, 0, -1)
  end
  out[#out + 1] = { key, kind, value }
end
return out
`

/** Every key with its type and its value, in one order. */
export async function canonicalDump(
  node: Redis,
  pattern: string,
): Promise<[key: string, kind: string, value: string[]][]> {
  const found = await node.call('EVAL', canonicalScript, 0, pattern)
  return found as [string, string, string[]][]
}

/** All that a server stores, to be put back later. */
export async function saveServer(node: Redis): Promise<ReadonlyMap<string, Buffer>> {
  const flat = (await node.callBuffer('EVAL', dumpScript, 0, '*')) as (Buffer | number)[]
  const saved = new Map<string, Buffer>()
  for (let at = 0; at < flat.length; at += 3) {
    saved.set(String(flat[at]), flat[at + 1] as Buffer)
  }
  return saved
}

/** Makes the server store what it stored then, and nothing else. */
export async function restoreServer(
  node: Redis,
  saved: ReadonlyMap<string, Buffer>,
): Promise<void> {
  const restore = node.multi().flushall()
  for (const [key, value] of saved) restore.restore(key, 0, value)
  await restore.exec()
}
