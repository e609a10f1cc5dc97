// What a task was handed and may never look at: how that ends must not go unheard, and must not end
// the process either.
import { isLost } from '../actors/attempt-pool.ts'

/** How many faults are remembered until it is known whether somebody asked. */
const faultsMax = 100

/** A promise that knows whether anybody ever asked how it ends. */
class Asked<Value> extends Promise<Value> {
  isAsked = false

  /** What follows from it is an ordinary promise. */
  static override get [Symbol.species](): PromiseConstructor {
    return Promise
  }

  // biome-ignore lint/suspicious/noThenProperty: it is a promise, and then is what is asked
  override then<Next = Value, Failed = never>(
    onKept?: ((value: Value) => Next | PromiseLike<Next>) | null,
    onBroken?: ((reason: unknown) => Failed | PromiseLike<Failed>) | null,
  ): Promise<Next | Failed> {
    this.isAsked = true
    return super.then(onKept, onBroken)
  }

  /** Looks how it ends, without counting as somebody who asks. */
  peek(onBroken: (reason: unknown) => void): Promise<void> {
    return super.then(() => undefined, onBroken)
  }
}

/** The promises of one attempt: a rejection that the task never asks about ends nothing. */
export class Answers {
  private readonly faults: { readonly promise: Asked<unknown>; readonly error: unknown }[] = []
  private readonly open = new Set<Promise<void>>()

  /** What the task keeps of its work; the attempt is not over before that is. */
  hand<Value>(work: Promise<Value>): Promise<Value> {
    const { promise, ended } = this.watch(work)
    this.open.add(ended)
    void ended.then(() => this.open.delete(ended))
    return promise
  }

  /** The same of a wait: what it waits for may come in another attempt. */
  handWait<Value>(work: Promise<Value>): Promise<Value> {
    return this.watch(work).promise
  }

  /** Resolves when nothing that the task began is on its way any more. */
  async settled(): Promise<void> {
    while (this.open.size > 0) await Promise.all(this.open)
  }

  /** Why something failed, if nobody asked how that ended. */
  get unheard(): unknown {
    return this.faults.find(({ promise }) => !promise.isAsked)?.error
  }

  private watch<Value>(work: Promise<Value>) {
    const promise = new Asked<Value>((resolve, reject) => {
      work.then(resolve, reject)
    })
    const ended = promise.peek((error) => {
      // Of a lost lease the attempt hears by its signal; one fault that nobody hears tells of all.
      if (isLost(error) || this.faults.length === faultsMax) return
      this.faults.push({ promise, error })
    })
    return { promise, ended }
  }
}
