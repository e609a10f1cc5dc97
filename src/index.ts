// The public surface of Holdfast.

export { type BudgetOptions, Budgets } from './engine/budgets.ts'
export type {
  Child,
  ChildOutcome,
  SpawnOptions,
  WaitChildrenOptions,
} from './engine/children.ts'
export type { EmitOptions } from './engine/emitter.ts'
export {
  Engine,
  type SubmitItem,
  type SubmitItemOutcome,
} from './engine/engine.ts'
export {
  Execution,
  type ExecutionSummary,
  type OpenWaitpoint,
  type SignalOptions,
} from './engine/execution.ts'
export type { EventGap, EventOptions, FeedItem } from './engine/feed.ts'
export { Flow, type FlowOptions } from './engine/flow.ts'
export type { EndedNode, FlowNode, NodeOptions, Upstream } from './engine/flow-node.ts'
export { type CancelFlowOptions, FlowRun } from './engine/flow-run.ts'
export type { Input, Inputs } from './engine/inputs.ts'
export { type Codec, jsonCodec } from './engine/json-codec.ts'
export { type LimitOptions, Limits, type PauseOptions } from './engine/limits.ts'
export { type OpenEngineOptions, openEngine } from './engine/open-engine.ts'
export type { Outcome, OutcomeSource } from './engine/outcome.ts'
export type { SearchOptions } from './engine/search.ts'
export {
  type IncomingSignal,
  type SignalHandlerOptions,
  type SignalSender,
  signalHandler,
} from './engine/signal-handler.ts'
export type { SubmitOptions, WorkSubmitOptions } from './engine/submission.ts'
export type { TailedFrame, TailOptions } from './engine/tail.ts'
export {
  type ExecutionOptions,
  NonRetryableError,
  type ReserveOptions,
  type Task,
  type TaskContext,
  type TaskRetry,
  type TaskSettings,
  task,
  type UsageOptions,
} from './engine/task.ts'
export type { Received, WaitOptions, WaitpointLink, WaitpointOptions } from './engine/waits.ts'
export { Worker, type WorkOptions } from './engine/worker.ts'
export { EngineError, type ErrorCode, type ErrorFamily, isEngineError } from './errors.ts'
export type { ExecutionId, LaneId } from './ids.ts'
export type * from './persistence/backend.ts'
export type { Explanation, ExplanationReason } from './persistence/explanation.ts'
export type * from './persistence/feed-backend.ts'
export type * from './persistence/frames.ts'
export type * from './persistence/limit-backend.ts'
export type { FoundExecution, SearchFilter, SearchPage } from './persistence/search-backend.ts'
export type { Durability } from './persistence/store.ts'
export type { Clock, Duration } from './time.ts'
