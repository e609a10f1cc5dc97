// Arguments: whatever is wrong is refused by name, before anything is written.
import { describe, expect, it } from 'vitest'
import type { ErrorCode } from '../../src/errors.ts'
import type {
  ClaimPolicy,
  EngineBackend,
  GrantRequest,
  Handle,
  RetryPolicy,
  Submission,
} from '../../src/persistence/backend.ts'
import type { Frame, FrameRange, TailRequest } from '../../src/persistence/frames.ts'
import type { Open } from '../support/backends.ts'
import {
  bytes,
  frame,
  refusedWithoutTrace,
  submit,
  submitAndClaim,
  work,
} from '../support/executions.ts'

interface Ground {
  readonly backend: EngineBackend
  /** Of work that waits. */
  readonly id: string
  /** Of work under a lease. */
  readonly handle: Handle
}

/** What the caller got wrong, and values that are wrong for it. */
interface Case {
  readonly argument: string
  readonly values: readonly unknown[]
  readonly call: (ground: Ground, value: never) => Promise<unknown>
  readonly code?: ErrorCode
}

const notNumbers = [Number.NaN, Number.POSITIVE_INFINITY, -1, 1.5, '1e3', 2 ** 53, {}]
const notWhole = [...notNumbers, '1']
const notWords = ['', 'two words', 'a,b', 'a|b', 'a\nb', 'a\u0000b', 'a\u007fb', 'x'.repeat(65), 7]
const notTexts = ['x'.repeat(2049), 'ü'.repeat(1025), 7, null, {}]
const notIds = ['', '0', 'x', '0-', `0-${'u'.repeat(26)}`, `0-${'0'.repeat(25)}`, 7, null, {}]
const notSets = [
  ['a,b'],
  [''],
  [7],
  ['a b'],
  ['a\u0001'],
  ['a\u007f'],
  words(257),
  ['x'.repeat(4097)],
]

function words(count: number): string[] {
  return Array.from({ length: count }, (_, at) => `w${at}`)
}

const submitting = (
  argument: keyof Submission,
  values: readonly unknown[],
  code?: ErrorCode,
): Case => ({
  argument,
  values,
  call: ({ backend }, value) => backend.submit(work({ idempotencyKey: 'key', [argument]: value })),
  ...(code === undefined ? {} : { code }),
})

const retrying = (argument: keyof RetryPolicy, values: readonly unknown[]): Case => ({
  argument: 'retry',
  values,
  call: ({ backend }, value) =>
    backend.submit(work({ retry: { attempts: 3, backoff: 'exponential', [argument]: value } })),
})

const claiming = (argument: keyof ClaimPolicy, values: readonly unknown[]): Case => ({
  argument,
  values,
  call: ({ backend }, value) => backend.claim('lane', [], { worker: 'w', [argument]: value }),
})

const granting = (
  argument: keyof GrantRequest,
  values: readonly unknown[],
  code?: ErrorCode,
): Case => ({
  argument,
  values,
  call: ({ backend, id }, value) => backend.issueClaimGrant(id, { worker: 'w', [argument]: value }),
  ...(code === undefined ? {} : { code }),
})

const operating = (argument: string, values: readonly unknown[], call: Case['call']): Case => ({
  argument,
  values,
  call,
})

const appending = (argument: keyof Frame, values: readonly unknown[], mode?: 'summary'): Case => ({
  argument,
  values,
  call: ({ backend, handle }, value) =>
    backend.appendFrame(handle, { ...frame('{}'), mode, [argument]: value }),
})

const reading = (argument: keyof FrameRange, values: readonly unknown[]): Case => ({
  argument,
  values,
  call: ({ backend, id }, value) => backend.readStream(id, 0, { count: 1, [argument]: value }),
})

const tailing = (argument: keyof TailRequest, values: readonly unknown[]): Case => ({
  argument,
  values,
  call: ({ backend, id }, value) =>
    backend.tailStream(id, 0, { after: 0, waitMs: 0, count: 1, [argument]: value }),
})

const cases: Readonly<Record<string, readonly Case[]>> = {
  streams: [
    appending('type', [...notWords, undefined]),
    appending('payload', ['text', null, undefined, new Uint8Array(65_537), [1]]),
    appending('payload', ['text', null, undefined, new Uint8Array(65_537)], 'summary'),
    appending('encoding', ['', 'base64', 7, null]),
    appending('correlationId', ['x'.repeat(257), 'ü'.repeat(129), 7, null]),
    appending('seq', [...notWhole, 0, null]),
    appending('seq', [...notWhole, 0], 'summary'),
    appending('mode', ['', 'best_effort', 7, null]),
    reading('from', [...notWhole, 0, '', 'end', '-']),
    reading('to', [...notWhole, 0, '', 'start', '+']),
    reading('count', [...notWhole, 0, 10_001, undefined]),
    tailing('after', [...notWhole, 'start', 'end', undefined]),
    tailing('waitMs', [...notWhole, 30_001, undefined]),
    tailing('count', [...notWhole, 0, 10_001]),
    ...(
      [
        ({ backend, id }: Ground, value: never) => backend.readStream(id, value, { count: 1 }),
        ({ backend, id }: Ground, value: never) => backend.readSummary(id, value),
      ] as const
    ).map((call): Case => ({ argument: 'attempt', values: [...notWhole, 2 ** 32], call })),
    ...(
      [
        ({ backend }: Ground, id: never) => backend.readStream(id, 0, { count: 1 }),
        ({ backend }: Ground, id: never) =>
          backend.tailStream(id, 0, { after: 0, waitMs: 0, count: 1 }),
        ({ backend }: Ground, id: never) => backend.readSummary(id, 0),
      ] as const
    ).map((call): Case => ({ argument: 'executionId', values: notIds, call })),
  ],
  submit: [
    submitting('lane', notWords),
    submitting('task', notWords),
    submitting('input', ['text', new Uint8Array(1_048_577), null, [1], { length: 1 }]),
    submitting('idempotencyKey', ['', 'k'.repeat(257), 'ü'.repeat(129), 7, null]),
    submitting('delayMs', [...notWhole, 36_500 * 86_400_000 + 1]),
    submitting('startAtMs', [...notWhole, 8_640_000_000_000_001]),
    submitting('deadlineMs', [...notWhole, 36_500 * 86_400_000 + 1]),
    submitting('deadlineAtMs', [...notWhole, 8_640_000_000_000_001]),
    submitting('priority', [...notWhole, 9001]),
    submitting('attemptTimeoutMs', [...notWhole, 0, 30 * 86_400_000 + 1]),
    submitting('retentionMs', [...notWhole, 36_500 * 86_400_000 + 1, 'never']),
    submitting('reclaimsMax', [...notWhole, 10_001]),
    submitting('capabilities', notSets, 'invalid_capabilities'),
    submitting('tags', [
      { '': 'v' },
      { '1a': 'v' },
      { 'a b': 'v' },
      { ['x'.repeat(65)]: 'v' },
      { a: 7 },
      { a: 'x'.repeat(257) },
      Object.fromEntries(words(65).map((name) => [name, 'v'])),
    ]),
    submitting('retry', [{}, 3]),
    retrying('attempts', [...notNumbers, 0, 10_002]),
    retrying('backoff', ['linear', '', 7]),
    retrying('delayMs', [...notNumbers, 0, 30 * 86_400_000 + 1]),
    retrying('maxDelayMs', [...notNumbers, 0, 30 * 86_400_000 + 1]),
    retrying('multiplier', [Number.NaN, 0.999, -2, 100.001, 1.0005, Number.POSITIVE_INFINITY]),
    retrying('on', [['bogus'], ['transient', ''], [7], 'transient']),
    {
      argument: 'retry',
      values: [-5, Number.NaN, 1.5],
      call: ({ backend }, delayMs) => backend.submit(work({ retry: { attempts: 1, delayMs } })),
    },
  ],
  claim: [
    operating('lanes', [...notWords, [], words(65), ['a', 'b c']], ({ backend }, value) =>
      backend.claim(value, [], { worker: 'w' }),
    ),
    {
      argument: 'capabilities',
      values: notSets,
      call: ({ backend }, value) => backend.claim('lane', value, { worker: 'w' }),
      code: 'invalid_capabilities',
    },
    claiming('worker', [...notWords, undefined]),
    claiming('leaseMs', [...notWhole, 99, 3_600_001]),
    claiming('count', [...notWhole, 0, 257]),
    claiming('maxWaitMs', notWhole),
    claiming('kinds', [[], ['old'], ['fresh', 'old'], ['toString']]),
    claiming('leaseId', ['', 'a b', 'a|b', 'x'.repeat(61), 7]),
  ],
  'calls of the holder': [
    operating('percent', [...notWhole, 101], ({ backend, handle }, value) =>
      backend.progress(handle, value),
    ),
    operating('message', notTexts, ({ backend, handle }, value) =>
      backend.progress(handle, 1, value),
    ),
    operating(
      'payload',
      ['text', new Uint8Array(1_048_577), [1], 7, null],
      ({ backend, handle }, value) => backend.complete(handle, value),
    ),
    operating('message', [...notTexts, undefined], ({ backend, handle }, value) =>
      backend.fail(handle, { message: value }, 'permanent'),
    ),
    operating('detail', ['text', new Uint8Array(65_537), 7, [1]], ({ backend, handle }, value) =>
      backend.fail(handle, { message: 'oops', detail: value }, 'permanent'),
    ),
    operating('failureClass', ['bogus', '', 7, undefined], ({ backend, handle }, value) =>
      backend.fail(handle, { message: 'oops' }, value),
    ),
    operating('reason', [...notTexts, undefined], ({ backend, handle }, value) =>
      backend.cancel(handle, value),
    ),
    operating('untilMs', [...notWhole, 8_640_000_000_000_001], ({ backend, handle }, value) =>
      backend.delay(handle, value),
    ),
  ],
  grants: [
    granting('worker', [...notWords, undefined]),
    granting('grantMs', [...notWhole, 0, 60_001]),
    granting('capabilities', notSets, 'invalid_capabilities'),
    operating('executionId', notIds, ({ backend }, value) =>
      backend.issueReclaimGrant(value, { worker: 'w' }),
    ),
    ...(['claimResumedExecution', 'claimFromReclaim'] as const).flatMap((use): Case[] => {
      const using = (argument: string, values: readonly unknown[], inGrant = false): Case => ({
        argument,
        values,
        call: ({ backend, id }, value) => {
          const grant = { executionId: id, lane: 'lane', grantId: 'g', worker: 'w', expiresAtMs: 1 }
          const changed = { [argument]: value }
          return backend[use](inGrant ? { grant: { ...grant, ...changed } } : { grant, ...changed })
        },
      })
      return [
        using('executionId', notIds, true),
        using('grantId', [...notWords.filter((value) => value !== 7), undefined], true),
        using('worker', notWords, true),
        using('leaseMs', [...notWhole, 99, 3_600_001]),
        using('leaseId', ['', 'a b', 'x'.repeat(61), 7]),
      ]
    }),
  ],
  'calls of operators': [
    ...(
      [
        ['describeExecution', ({ backend }: Ground, id: never) => backend.describeExecution(id)],
        ['cancelExecution', ({ backend }: Ground, id: never) => backend.cancelExecution(id, 'r')],
        ['revokeLease', ({ backend }: Ground, id: never) => backend.revokeLease(id)],
        ['changePriority', ({ backend }: Ground, id: never) => backend.changePriority(id, 1)],
        ['replayExecution', ({ backend }: Ground, id: never) => backend.replayExecution(id)],
        ['blockExecution', ({ backend }: Ground, id: never) => backend.blockExecution(id, 'r')],
        ['unblockExecution', ({ backend }: Ground, id: never) => backend.unblockExecution(id, 'r')],
        ['purgeExecution', ({ backend }: Ground, id: never) => backend.purgeExecution(id)],
        ['watch', ({ backend }: Ground, id: never) => backend.watch(id)],
      ] as const
    ).map(([, call]) => operating('executionId', notIds, call)),
    operating('reason', [...notTexts, undefined], ({ backend, id }, value) =>
      backend.cancelExecution(id, value),
    ),
    operating('expectedLeaseId', notWords, ({ backend, id }, value) =>
      backend.revokeLease(id, value),
    ),
    operating('priority', [...notWhole, 9001], ({ backend, id }, value) =>
      backend.changePriority(id, value),
    ),
    operating('replayId', ['', 'a b', 'x'.repeat(61), 7], ({ backend, id }, value) =>
      backend.replayExecution(id, value),
    ),
    operating('reason', notWords, ({ backend, id }, value) => backend.blockExecution(id, value)),
    operating('reason', notWords, ({ backend, id }, value) => backend.unblockExecution(id, value)),
    operating('lane', notWords, ({ backend }, value) => backend.pauseLane(value)),
    operating('lane', notWords, ({ backend }, value) => backend.drainLane(value)),
    operating('lane', notWords, ({ backend }, value) => backend.resumeLane(value)),
  ],
  'lists and sweeps': [
    operating('limit', notWhole, ({ backend }, value) => backend.listLanes(undefined, value)),
    operating('limit', notWhole, ({ backend }, value) =>
      backend.listExecutions(0, undefined, value),
    ),
    operating('cursor', notIds, ({ backend }, value) => backend.listExecutions(0, value, 10)),
    operating('partition', [-1, 0.5, 99, Number.NaN, 'x'], ({ backend }, value) =>
      backend.listExecutions(value, undefined, 10),
    ),
    operating('partition', [-1, 0.5, 99, Number.NaN, 'x'], ({ backend }, value) =>
      backend.sweep(value),
    ),
    operating('count', [...notWhole, 0, 1001], ({ backend }, value) => backend.sweep(0, value)),
  ],
}

/** `executionId`, `execution_id` and `ExecutionId` name the same argument. */
const plain = (name: unknown) => String(name).replaceAll('_', '').toLowerCase()

export function describeValidation(open: Open): void {
  describe.each(Object.entries(cases))('arguments of %s', (_what, ofCalls) => {
    it.each(ofCalls.map((one, at) => ({ ...one, at })))(
      'are refused by name when they are wrong: $argument (case $at) (W5)',
      async ({ argument, values, call, code = 'invalid_input' }) => {
        const opened = await open()
        const { backend } = opened
        const id = await submit(backend, { lane: 'waiting' })
        const { handle } = await submitAndClaim(backend, { input: bytes('other') })
        for (const value of values) {
          const wrong = () => call({ backend, id, handle }, value as never)
          const error = await refusedWithoutTrace(opened, wrong, code).catch((failure) => {
            throw new Error(`${argument} = ${String(value)}: ${failure.message}`)
          })
          expect(plain(error.details.argument), error.message).toBe(plain(argument))
          expect(error.message).toContain(String(error.details.argument))
        }
      },
    )
  })
}
