// How an audit stands: the flow to go on with, and what flows before it have finished.
//
// A flow that was stopped stays stopped. So an audit is a row of flows under numbered keys: the
// next one holds what those before it have left.

import type { Engine, ExecutionId, FlowRun } from '../src/index.ts'

export interface Standing {
  /** The key of the flow that is to be submitted, or submitted again. */
  readonly key: string
  /** Audits that flows before it have finished, by the names of their nodes. */
  readonly finished: ReadonlyMap<string, ExecutionId>
}

/** `graph` tells trees apart: a flow of another graph cannot take this one's nodes. */
export async function findStanding(
  engine: Engine,
  base: string,
  graph: string,
  names: readonly string[],
): Promise<Standing> {
  const finished = new Map<string, ExecutionId>()
  for (let turn = 0; ; turn++) {
    const key = `${base}:${turn}`
    const run = engine.flowRun(engine.backend.flowId(key))
    const flow = await run.describe()
    const isOurs = flow?.tags.graph === graph && flow.state !== 'cancelled'
    if (flow === undefined || isOurs) return { key, finished }
    if (flow.state === 'open') await stopFlow(run, 'the tree has changed')
    await addFinished(engine, run, names, finished)
  }
}

/** What runs may end; all else is not begun any more. */
export async function stopFlow(run: FlowRun, reason: string): Promise<void> {
  await run.cancel({ policy: 'cancel_pending', wait: '1m', reason })
}

async function addFinished(
  engine: Engine,
  run: FlowRun,
  names: readonly string[],
  finished: Map<string, ExecutionId>,
): Promise<void> {
  const completed = new Set<ExecutionId>()
  for await (const { executionId, publicState } of run.members()) {
    if (publicState === 'completed') completed.add(executionId)
  }
  for (const name of names) {
    const id = engine.backend.memberId(run.id, name)
    if (completed.has(id)) finished.set(name, id)
  }
}
