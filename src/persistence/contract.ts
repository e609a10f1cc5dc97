// The shape of the operations' contracts, which are generated from Lua.
import type { Operations } from './generated/operations.ts'

/** A declared value: its name, its type and whether it may be absent. */
export interface FieldPlan {
  readonly name: string
  readonly type: string
  readonly optional: boolean
}

export type RowPlan = readonly FieldPlan[]

export interface OperationPlan {
  readonly events: readonly string[]
  /** True when the operation only reads. */
  readonly reads: boolean
  readonly args: readonly FieldPlan[]
  readonly returns: Readonly<Record<string, readonly FieldPlan[]>>
}

/** The name of a stored operation. */
export type OperationName = keyof Operations

/** What an operation is called with. */
export type Arguments<Name extends OperationName> = Operations[Name]['args']

/** A refusal: a code of the error catalogue and facts about it. */
export interface Refusal {
  readonly outcome: 'refused'
  readonly code: string
  readonly details: Readonly<Record<string, string>>
}

/** What an operation answers: one of its outcomes, or a refusal. */
export type Answer<Name extends OperationName> = Operations[Name]['answer'] | Refusal
