// Plain unfenced commands as a contestant: what the same server does without any guarantee.

import { type ChainableCommander, Redis } from 'ioredis'
import {
  type Contestant,
  expectCount,
  type Payload,
  resultBytes,
  type Session,
} from '../contestant.ts'

const title = 'plain commands'

/** How many ids one pipeline takes, and how many pipelines are in flight. */
const count = 16
const loops = 4

export const plainContestant: Contestant = {
  title,
  async open(url) {
    const { hostname, port } = new URL(url)
    return new PlainSession(new Redis(Number(port), hostname))
  },
}

class PlainSession implements Session {
  private readonly redis: Redis
  private submitted = 0

  constructor(redis: Redis) {
    this.redis = redis
  }

  submit(payload: Payload): Promise<unknown> {
    return this.push(this.redis.pipeline(), payload).exec()
  }

  submitMany(payloads: readonly Payload[]): Promise<unknown> {
    const pipeline = this.redis.pipeline()
    for (const payload of payloads) this.push(pipeline, payload)
    return pipeline.exec()
  }

  private push(pipeline: ChainableCommander, { bytes }: Payload): ChainableCommander {
    const id = ++this.submitted
    return pipeline.set(`in:${id}`, bytes).lpush('waiting', id)
  }

  async process(wanted: number): Promise<number> {
    const startedMs = performance.now()
    const done = await Promise.all(Array.from({ length: loops }, () => this.work()))
    const elapsedMs = performance.now() - startedMs
    const total = done.reduce((sum, each) => sum + each, 0)
    expectCount(title, 'completions', total, wanted)
    return elapsedMs
  }

  private async work(): Promise<number> {
    let done = 0
    let ids: string[] = []
    do {
      const settleAndTake = this.redis.pipeline()
      for (const id of ids) settleAndTake.set(`out:${id}`, resultBytes).lrem('active', 1, id)
      for (let taken = 0; taken < count; taken++) {
        settleAndTake.lmove('waiting', 'active', 'RIGHT', 'LEFT')
      }
      const taken = ((await settleAndTake.exec()) ?? []).slice(-count)
      ids = taken.flatMap(([, id]) => (typeof id === 'string' ? [id] : []))
      done += ids.length
      const read = this.redis.pipeline()
      for (const id of ids) read.getBuffer(`in:${id}`)
      await read.exec()
    } while (ids.length > 0)
    return done
  }

  async verifyWaiting(wanted: number): Promise<void> {
    expectCount(title, 'ids waiting', await this.redis.llen('waiting'), wanted)
  }

  async verifyCompleted(wanted: number): Promise<void> {
    const left = (await this.redis.llen('waiting')) + (await this.redis.llen('active'))
    expectCount(title, 'ids not completed', left, 0)
    // Nothing but the inputs and the results is left.
    expectCount(title, 'keys', await this.redis.dbsize(), 2 * wanted)
  }

  async close(): Promise<void> {
    this.redis.disconnect()
  }
}
