// BullMQ as a contestant: a queue, and a worker with its default settings.

import { Queue, Worker } from 'bullmq'
import { type Contestant, expectCount, type Payload, result, type Session } from '../contestant.ts'

const title = 'BullMQ'

export function bullmqContestant(concurrency: number): Contestant {
  return {
    title: `${title}, concurrency ${concurrency}`,
    async open(url, name) {
      const { hostname: host, port } = new URL(url)
      const connection = { host, port: Number(port), maxRetriesPerRequest: null }
      const queue = new Queue(name, { connection })
      await queue.waitUntilReady()
      return new BullmqSession(queue, connection, concurrency)
    },
  }
}

interface Connection {
  readonly host: string
  readonly port: number
  readonly maxRetriesPerRequest: null
}

class BullmqSession implements Session {
  private readonly queue: Queue
  private readonly connection: Connection
  private readonly concurrency: number

  constructor(queue: Queue, connection: Connection, concurrency: number) {
    this.queue = queue
    this.connection = connection
    this.concurrency = concurrency
  }

  submit({ json }: Payload): Promise<unknown> {
    return this.queue.add('noop', json)
  }

  submitMany(payloads: readonly Payload[]): Promise<unknown> {
    return this.queue.addBulk(payloads.map(({ json }) => ({ name: 'noop', data: json })))
  }

  async process(count: number): Promise<number> {
    const worker = new Worker(this.queue.name, async () => result, {
      connection: this.connection,
      concurrency: this.concurrency,
      autorun: false,
    })
    await worker.waitUntilReady()
    const startedMs = performance.now()
    const ended = new Promise<number>((resolve, reject) => {
      let done = 0
      worker.on('completed', () => {
        done++
        if (done === count) resolve(performance.now() - startedMs)
      })
      worker.on('failed', (_job, error) => reject(error))
      worker.on('error', reject)
      worker.run().catch(reject)
    })
    try {
      return await ended
    } finally {
      await worker.close()
    }
  }

  async verifyWaiting(count: number): Promise<void> {
    expectCount(title, 'jobs waiting', await this.queue.getWaitingCount(), count)
  }

  async verifyCompleted(count: number): Promise<void> {
    const counts = await this.queue.getJobCounts('completed', 'failed', 'active', 'wait')
    expectCount(title, 'jobs completed', counts.completed ?? 0, count)
    const others = (counts.failed ?? 0) + (counts.active ?? 0) + (counts.wait ?? 0)
    expectCount(title, 'jobs not completed', others, 0)
  }

  close(): Promise<void> {
    return this.queue.close()
  }
}
