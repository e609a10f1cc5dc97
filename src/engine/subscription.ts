// A subscription to notices that begins when somebody first waits, and survives the loss of some.

/** Should a notice ever be lost without a gap being told, what it was about is still found. */
const rereadMs = 30_000

export class Subscription<Told> {
  private readonly subscribe: (hear: (told: Told | undefined) => void) => Promise<() => void>
  private readonly hear: (told: Told | undefined) => void
  private subscribed: Promise<() => void> | undefined
  private reread: NodeJS.Timeout | undefined

  /** `hear` gets what is told, and undefined when something may have been missed. */
  constructor(
    subscribe: (hear: (told: Told | undefined) => void) => Promise<() => void>,
    hear: (told: Told | undefined) => void,
  ) {
    this.subscribe = subscribe
    this.hear = hear
  }

  /** Resolves once everything that happens from now on is heard. */
  async begin(): Promise<void> {
    this.subscribed ??= this.subscribe(this.hear)
    try {
      await this.subscribed
    } catch (error) {
      // The next one to wait tries again.
      this.subscribed = undefined
      throw error
    }
  }

  /** Has `hear` look at everything now and then, for as long as the process has other work. */
  keepLooking(): void {
    this.reread ??= setInterval(() => this.hear(undefined), rereadMs).unref()
  }

  async end(): Promise<void> {
    clearInterval(this.reread)
    const unsubscribe = await this.subscribed?.catch(() => undefined)
    unsubscribe?.()
  }
}
