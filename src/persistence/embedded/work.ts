// The kinds of work that a backlog can hold, by the first word of an item.
import { EngineError } from '../../errors.ts'
import { runAdmissions } from './admission.ts'
import type { Perform } from './backlog.ts'
import type { CallContext } from './call-context.ts'
import { cancelLate, cascade } from './cascade.ts'
import { resolve, spare } from './dependents.ts'
import { recountDependents } from './replay.ts'

type Handler = (call: CallContext, words: readonly string[]) => number

const handlers: Readonly<Record<string, Handler>> = {
  admit: (call) => {
    runAdmissions(call)
    return 1
  },
  cascade,
  doomed: cancelLate,
  recount: recountDependents,
  resolve,
  spare,
}

/** Performs items of a backlog in this call. */
export function workIn(call: CallContext): Perform {
  return (words) => {
    const handler = handlers[words[0] ?? '']
    if (handler === undefined) throw new EngineError('invariant_broken', `no work ${words[0]}`)
    return handler(call, words)
  }
}
