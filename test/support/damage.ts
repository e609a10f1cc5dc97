// Damages what a server stores: fields of hashes and of executions' packed records, whole records.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Redis } from 'ioredis'
import { bundleLua } from '../../scripts/bundle-lua.ts'
import { refusal } from './executions.ts'
import { type ServerAtHand, useStores } from './valkey-server.ts'

const { name, source } = bundleLua({
  main: readFileSync(join(import.meta.dirname, 'damage.lua'), 'utf8'),
})

async function call(node: Redis, verb: string, key: string, args: readonly string[]) {
  await node.call('FUNCTION', 'LOAD', 'REPLACE', source)
  return node.call('FCALL', `${name}_${verb}`, 1, key, ...args)
}

/** Puts another value in the place of a record's field, or removes it. */
async function damageField(node: Redis, key: string, field: string, value?: string) {
  await call(node, 'damage', key, value === undefined ? [field] : [field, value])
}

/** The same for an own field of a flow or a group. */
async function damageOwn(node: Redis, key: string, field: string, value?: string) {
  await call(node, 'damage_own', key, value === undefined ? [field] : [field, value])
}

/** An own field of a flow or a group as text; undefined when it is not there. */
export async function ownField(node: Redis, key: string, field: string) {
  return ((await call(node, 'own_field', key, [field])) as string | null) ?? undefined
}

/** What a record says in one of its fields. */
export async function storedField(node: Redis, key: string, field: string): Promise<string> {
  return String(await call(node, 'field', key, [field]))
}

/** What a disk, a hand or another release may leave of a whole record; each with its name. */
export function brokenRecords(whole: Buffer): readonly (readonly [what: string, bytes: Buffer])[] {
  const changed = (at: number, byte: number) => Buffer.from(whole).fill(byte, at, at + 1)
  const cuts = Array.from({ length: whole.length }, (_, length) => whole.subarray(0, length))
  return [
    ...cuts.map((bytes) => [`cut off after ${bytes.length} bytes`, bytes] as const),
    ['of another layout', changed(0, 9)],
    ['with flags that mean nothing', changed(1, whole[1] === undefined ? 0 : whole[1] + 4)],
    ['without the flag of its rare fields', changed(1, 0)],
    ['of garbage', Buffer.from('garbage '.repeat(32))],
    ['of zeros', Buffer.alloc(whole.length)],
    ['with more behind it', Buffer.concat([whole, Buffer.from([0x91, 0xa0])])],
    ['that is a text', Buffer.from('broken')],
  ]
}

/** Sets a field of an execution or of a hash of the only partition, or removes it. */
type Damage = (key: string, field: string, value?: string) => Promise<unknown>

/** Opens backends of one partition, whose records can be damaged behind their back. */
export function useDamage(at: ServerAtHand) {
  const openStore = useStores()
  return async () => {
    const { backend, namespace } = await openStore({ url: at.server.url, partitions: 1 })
    const keyOf = (key: string) => `{hf:${namespace}:0}:${key}`
    const damage: Damage = (key, field, value) => {
      if (key.startsWith('x:')) return damageField(at.redis, keyOf(key), field, value)
      // Entries of a group are named by executions.
      const isPacked = /^(flow|group):/.test(key) && field.length < 26
      if (isPacked) return damageOwn(at.redis, keyOf(key), field, value)
      return value === undefined
        ? at.redis.hdel(keyOf(key), field)
        : at.redis.hset(keyOf(key), field, value)
    }
    return { backend, damage, keyOf }
  }
}

/** The id of an execution of the only partition as its keys have it. */
export const localOf = (id: string) => id.slice(2)

/** One call must be refused for that very field of that very record. */
export function corrupt(call: Promise<unknown>, key: string, field: string) {
  return refusal(call, 'corruption', { key, field })
}
