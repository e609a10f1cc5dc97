// An accepted signal is stored once, in order, byte by byte, and stays until the work is purged.
import { hashOf, type Signal, signalsOf, suspensionOf, waitpointsOf } from '../waiting.ts'
import type { Performed, Stored } from './performed.ts'

export function signalsKept(performed: Performed): string | undefined {
  const { before, after } = performed
  if (before.text === after.text && performed.answer.outcome !== 'accepted') return undefined
  for (const id of after.records.keys()) {
    const why = storageProblem(after, id) ?? changeProblem(performed, id)
    if (why !== undefined) return `${id} ${why}`
  }
  return orphanProblem(after)
}

/** Positions without gaps; every id, key and payload leads to its one signal. */
function storageProblem({ dump }: Stored, id: string): string | undefined {
  const hash = hashOf(dump, `signals:${id}`)
  const signals = signalsOf(dump, id)
  if (Number(hash.get('count') ?? 0) !== signals.length) return 'has lost count of its signals'
  const names = new Set(['count'])
  for (const [index, { position, id: name, waitpoint, key }] of signals.entries()) {
    if (position !== index + 1) return `has no signal ${index + 1}`
    const finders = [`i${name}`, ...(key === '' ? [] : [`k${waitpoint} ${key}`])]
    if (finders.some((finder) => hash.get(finder) !== `${position}`)) return `lost ${name}`
    for (const finder of [...finders, `${position}`, `p${position}`]) names.add(finder)
  }
  const stray = [...hash.keys()].find((name) => !names.has(name) && !name.startsWith('r'))
  if (stray !== undefined) return `stores ${stray} for no signal`
  for (const { id: point, count } of waitpointsOf(dump, id)) {
    const came = signals.filter(({ waitpoint, id: name }) => waitpoint === point && isSent(name))
    if (came.length !== count) return `counts ${count} signals at ${point}, not ${came.length}`
  }
  return undefined
}

const isSent = (signalId: string) => !signalId.startsWith('timeout:')

/** Old signals are as they were; the only new one is the one that was accepted now. */
function changeProblem({ call, answer, before, after }: Performed, id: string) {
  const was = signalsOf(before.dump, id)
  const is = signalsOf(after.dump, id)
  for (const [index, signal] of was.entries()) {
    const now = is[index]
    const isBuffered = signal.effect === 'buffered_for_pending_waitpoint'
    const isSame = now?.rest === signal.rest && (isBuffered || now.effect === signal.effect)
    if (!isSame || !hasSamePayload(before, after, id, signal)) return `changed ${signal.id}`
  }
  const added = is.slice(was.length)
  const closed = suspensionOf(after.dump, id)?.f.get('closed')
  const timeouts = added.filter(({ id: name }) => !isSent(name))
  if (timeouts.length > 0 && closed !== 'timed_out_auto_resume') return 'has an early timeout'
  const sent = added.filter(({ id: name }) => isSent(name))
  const isAccepted = call.name === 'signal.deliver' && answer.outcome === 'accepted'
  const wanted = isAccepted && call.args.id === id ? 1 : 0
  if (sent.length !== wanted) return `accepted ${wanted} signals, but stored ${sent.length}`
  const [signal] = sent
  if (signal === undefined || call.name !== 'signal.deliver') return undefined
  return contentProblem(after, id, signal, call.args)
}

function payloadOf({ dump }: Stored, id: string, position: number): string | undefined {
  const payload = hashOf(dump, `signals:${id}`).get(`p${position}`)
  return payload === undefined ? undefined : Buffer.from(payload).toString('hex')
}

function hasSamePayload(before: Stored, after: Stored, id: string, { position }: Signal): boolean {
  return payloadOf(before, id, position) === payloadOf(after, id, position)
}

type Delivery = Extract<Performed['call'], { name: 'signal.deliver' }>['args']

function contentProblem(after: Stored, id: string, signal: Signal, args: Delivery) {
  const { payload } = args
  const given = payload === undefined ? undefined : Buffer.from(payload).toString('hex')
  if (payloadOf(after, id, signal.position) !== given) return `spoilt the bytes of ${args.signal}`
  const isSame =
    signal.id === args.signal &&
    signal.waitpoint === args.waitpoint &&
    signal.digest === args.digest &&
    signal.category === args.category &&
    signal.source === args.source &&
    signal.identity === args.identity &&
    signal.correlation === args.correlation &&
    signal.key === (args.key ?? '') &&
    (args.name === undefined || signal.name === args.name)
  return isSame ? undefined : `stored another signal than ${args.signal}`
}

/** What belongs to an execution goes with it. */
function orphanProblem({ dump, records }: Stored): string | undefined {
  for (const key of dump.keys()) {
    const owner = /^(?:wait|points|signals):(.*)$/.exec(key)?.[1]
    if (owner !== undefined && !records.has(owner)) return `${key} was left behind`
  }
  return undefined
}
