// The facts that guards of the lifecycle machine may read, and who establishes each.

/** Fact → what it means and which part of an operation establishes it. */
export const facts = {
  heldByOperator: { means: 'an operator blocked the execution', producer: 'gates' },
  heldByDependencies: { means: 'an inbound edge is not settled', producer: 'gates' },
  notDueStart: { means: 'its first attempt must not start yet', producer: 'gates' },
  notDueRetry: { means: 'the backoff before its next attempt is not over', producer: 'gates' },
  notDueParked: { means: 'its worker asked to continue later', producer: 'gates' },
  parked: { means: 'an interrupted attempt waits to be continued', producer: 'gates' },
  retryLeft: { means: 'the failure may be retried by its policy', producer: 'retry' },
  reclaimsExhausted: { means: 'the lease was lost too often', producer: 'due' },
  failsWhenLate: { means: 'the suspension fails when its time is over', producer: 'resume' },
  cancelsWhenLate: { means: 'it is cancelled when its time is over', producer: 'resume' },
  expiresWhenLate: { means: 'it expires when its time is over', producer: 'resume' },
  escalatesWhenLate: { means: 'an operator decides when its time is over', producer: 'resume' },
} as const

export type Fact = keyof typeof facts
