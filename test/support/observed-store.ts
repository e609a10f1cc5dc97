// A store that tells tests what it was asked, so that they wait for what happens and not for time.
import type { Answer, Arguments, OperationName } from '../../src/persistence/contract.ts'
import type { Store, StoreNotice } from '../../src/persistence/store.ts'

export interface ObservedCall {
  readonly partition: number
  readonly name: OperationName
  readonly args: Readonly<Record<string, unknown>>
  readonly answer: Answer<OperationName>
}

/** Passes everything on, and remembers each call that was answered. */
export class ObservedStore implements Store {
  readonly kind: Store['kind']
  readonly partitionCount: number
  readonly durability: Store['durability']
  readonly calls: ObservedCall[] = []
  private readonly store: Store
  private readonly checks = new Set<() => void>()

  constructor(store: Store) {
    this.store = store
    this.kind = store.kind
    this.partitionCount = store.partitionCount
    this.durability = store.durability
  }

  async call<Name extends OperationName>(
    partition: number,
    name: Name,
    args: Arguments<Name>,
  ): Promise<Answer<Name>> {
    const answer = await this.store.call(partition, name, args)
    this.calls.push({ partition, name, args: { ...args }, answer })
    for (const check of [...this.checks]) check()
    return answer
  }

  /** Resolves when the last claim that every partition answered found nothing and waits there. */
  asleep(): Promise<void> {
    const last = () => {
      const answers = new Map<number, string>()
      for (const { partition, name, args, answer } of this.calls) {
        if (name !== 'lease.claim' || args.sleep_ms === undefined) continue
        answers.set(partition, answer.outcome)
      }
      return [...answers.values()]
    }
    return this.until(() => {
      const empty = last().filter((outcome) => outcome === 'empty')
      return empty.length === this.partitionCount
    })
  }

  /** Resolves when the condition holds after some call. */
  until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const check = () => {
        if (!condition()) return
        this.checks.delete(check)
        resolve()
      }
      this.checks.add(check)
      check()
    })
  }

  listen(listener: (notice: StoreNotice) => void): Promise<() => void> {
    return this.store.listen(listener)
  }

  close(): Promise<void> {
    return this.store.close()
  }
}
