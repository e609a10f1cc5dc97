// The line in which the waits of one attempt stand: an execution is parked once at a time.

export class WaitLine {
  private last: Promise<unknown> = Promise.resolve()
  private unfinished = 0

  /** Whether something still waits. */
  get isWaiting(): boolean {
    return this.unfinished > 0
  }

  /** Waits once all waits that came before are over. */
  join<Value>(wait: () => Promise<Value>): Promise<Value> {
    this.unfinished += 1
    const waiting = this.last.then(wait)
    this.last = waiting.catch(() => undefined)
    return waiting.finally(() => {
      this.unfinished -= 1
    })
  }
}
