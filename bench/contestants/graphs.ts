// Graphs of work as both contestants take them: a chain, and a fan-out that is joined again.
import { FlowProducer, Queue, QueueEvents, Worker } from 'bullmq'
import { type Engine, openEngine, task } from '../../src/index.ts'

/** Runs one kind of graph, each to its end. */
export interface GraphSession {
  /** Chains of so many steps, all at once; resolves with the time that they took. */
  chains(count: number, length: number): Promise<number>
  /** One chain alone, from submitting it to knowing that it has ended. */
  chainAlone(length: number): Promise<number>
  /** A step, then so many at once, then one that waits for all of them. */
  fanOut(width: number): Promise<number>
  close(): Promise<void>
}

const input = Buffer.from('{}')

/** Counts runs and says when there have been enough. */
class Runs {
  private count = 0
  private wanted = 0
  private reached: () => void = () => {}

  expect(wanted: number): Promise<void> {
    this.count = 0
    this.wanted = wanted
    return new Promise((resolve) => {
      this.reached = resolve
    })
  }

  add(): void {
    this.count += 1
    if (this.count === this.wanted) this.reached()
  }
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now()
  await work()
  return performance.now() - startedMs
}

export async function openHoldfastGraphs(
  url: string,
  namespace: string,
  concurrency: number,
): Promise<GraphSession> {
  const engine = await openEngine({ url, namespace })
  const runs = new Runs()
  const step = task({ name: 'step', lane: 'bench', run: () => runs.add() })
  await engine.work([step], { concurrency })
  return new HoldfastGraphs(engine, runs)
}

class HoldfastGraphs implements GraphSession {
  private readonly engine: Engine
  private readonly runs: Runs

  constructor(engine: Engine, runs: Runs) {
    this.engine = engine
    this.runs = runs
  }

  async chains(count: number, length: number): Promise<number> {
    const ended = this.runs.expect(count * length)
    return timed(async () => {
      await Promise.all(Array.from({ length: count }, () => this.startChain(length)))
      await ended
    })
  }

  chainAlone(length: number): Promise<number> {
    return timed(async () => {
      const last = await this.startChain(length)
      await this.engine.execution(last).result()
    })
  }

  /** Builds the graph in steps of as many members as one call may add. */
  async fanOut(width: number): Promise<number> {
    const { backend } = this.engine
    const ended = this.runs.expect(width + 2)
    return timed(async () => {
      const { flowId } = await backend.createFlow({ kind: 'bench' })
      const id = (name: string) => backend.memberId(flowId, name)
      const member = (name: string, hold = false) => ({
        id: id(name),
        lane: 'bench',
        task: 'step',
        input,
        hold,
      })
      await backend.applyGraph(flowId, { members: [member('join', true)] })
      const names = Array.from({ length: width }, (_, at) => `leaf-${at}`)
      for (let from = 0; from < width; from += 250) {
        const part = names.slice(from, from + 250)
        const isFirst = from === 0
        await backend.applyGraph(flowId, {
          members: [
            ...(isFirst ? [member('root', true)] : []),
            ...part.map((name) => member(name)),
          ],
          edges: part.flatMap((name) => [
            { upstream: id('root'), downstream: id(name) },
            { upstream: id(name), downstream: id('join') },
          ]),
        })
      }
      await backend.applyGraph(flowId, { seal: [id('join'), id('root')], finish: true })
      await ended
      await this.engine.execution(id('join')).result()
    })
  }

  close(): Promise<void> {
    return this.engine.close()
  }

  /** The id of the last step. */
  private async startChain(length: number): Promise<string> {
    const { backend } = this.engine
    const flowId = backend.flowId()
    const ids = Array.from({ length }, (_, at) => backend.memberId(flowId, `step-${at}`))
    const chain = {
      members: ids.map((id) => ({ id, lane: 'bench', task: 'step', input })),
      edges: ids.slice(1).map((id, at) => ({ upstream: ids[at] ?? id, downstream: id })),
      finish: true,
    }
    await backend.createFlow({ flowId, kind: 'bench' }, chain)
    return ids.at(-1) ?? ''
  }
}

export async function openBullmqGraphs(
  url: string,
  name: string,
  concurrency: number,
): Promise<GraphSession> {
  const { hostname: host, port } = new URL(url)
  const connection = { host, port: Number(port), maxRetriesPerRequest: null }
  const runs = new Runs()
  const queue = new Queue(name, { connection })
  const producer = new FlowProducer({ connection })
  const events = new QueueEvents(name, { connection })
  const worker = new Worker(name, async () => runs.add(), { connection, concurrency })
  await Promise.all([worker.waitUntilReady(), events.waitUntilReady(), queue.waitUntilReady()])
  const chainOf = (length: number): { name: string; queueName: string; children?: object[] } =>
    length === 1
      ? { name: 'step', queueName: name }
      : { name: 'step', queueName: name, children: [chainOf(length - 1)] }
  return {
    chains: (count, length) => {
      const ended = runs.expect(count * length)
      return timed(async () => {
        await Promise.all(
          Array.from({ length: count }, () => producer.add(chainOf(length) as never)),
        )
        await ended
      })
    },
    chainAlone: (length) =>
      timed(async () => {
        const { job } = await producer.add(chainOf(length) as never)
        await job.waitUntilFinished(events)
      }),
    fanOut: (width) => {
      // A job has one parent, so the step in front of all the others runs by itself.
      const ended = runs.expect(width + 2)
      return timed(async () => {
        const first = await queue.add('step', {})
        await first.waitUntilFinished(events)
        const children = Array.from({ length: width }, () => ({ name: 'step', queueName: name }))
        await producer.add({ name: 'step', queueName: name, children })
        await ended
      })
    },
    close: async () => {
      await Promise.all([worker.close(), events.close(), producer.close(), queue.close()])
    },
  }
}
