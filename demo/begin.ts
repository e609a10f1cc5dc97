// Begins the audit of a tree as a flow: each package after its dependencies, the report after all.

import { createHash } from 'node:crypto'
import type { Engine, Execution, FlowNode, FlowRun, Task } from '../src/index.ts'
import { type AuditInput, auditTask, type PackageAudit, type Tally, tallyTask } from './audit.ts'
import type { DependencyGraph } from './dependencies.ts'
import type { InstalledPackage, PackageTree } from './packages.ts'
import { findStanding, type Standing } from './standing.ts'

export interface BegunAudit {
  readonly run: FlowRun
  readonly tasks: readonly [Task<AuditInput, PackageAudit>, Task<number, Tally>]
  /** One per package, in the order of the tree. */
  readonly executions: readonly Execution<PackageAudit>[]
  /** The last node: how many packages were audited and lost. */
  readonly tally: Execution<Tally>
  /** Those of the executions that an earlier run may have begun. */
  readonly known: readonly Execution<PackageAudit>[]
}

export async function beginAudit(
  engine: Engine,
  tree: PackageTree,
  graph: DependencyGraph,
  { runId, paceMs }: { readonly runId: string; readonly paceMs: number },
): Promise<BegunAudit> {
  // A lane of its own, so that the worker does not also finish what other audits left behind.
  const lane = `audit-${digest([tree.root, runId]).slice(0, 12)}`
  const tasks = [auditTask({ lane, paceMs }), tallyTask({ lane })] as const
  const names = tree.packages.map(nodeName)
  const shape = digest([names, graph.before]).slice(0, 24)
  const base = digest([tree.root, runId]).slice(0, 24)
  const standing = await findStanding(engine, base, shape, names)
  const flow = engine.flow('licence-audit', {
    idempotencyKey: standing.key,
    tags: { graph: shape },
  })
  const nodes = new Map<number, FlowNode<PackageAudit>>()
  for (const index of graph.order) {
    const name = names[index] as string
    if (standing.finished.has(name)) continue
    const { path, name: packageName, version } = tree.packages[index] as InstalledPackage
    const before = (graph.before[index] ?? []).flatMap((one) => nodes.get(one) ?? [])
    const input = { root: tree.root, path, name: packageName, version }
    const after = before.map((node) => flow.ended(node))
    nodes.set(index, flow.add(tasks[0], input, { name, after }))
  }
  const after = [...nodes.values()].map((node) => flow.ended(node))
  const last = flow.add(tasks[1], standing.finished.size, { name: 'report', after })
  const run = await flow.submit()
  const executions = names.map((name) => executionOf(engine, run, standing, name))
  const isKnown = (_: unknown, index: number) => run.duplicate || !nodes.has(index)
  return { run, tasks, executions, tally: run.execution(last), known: executions.filter(isKnown) }
}

function executionOf(
  engine: Engine,
  run: FlowRun,
  { finished }: Standing,
  name: string,
): Execution<PackageAudit> {
  const id = finished.get(name)
  return id === undefined ? run.execution(name) : engine.execution(id)
}

/** The same package at the same place has the same name, whichever run submits it. */
function nodeName({ path, name, version }: InstalledPackage): string {
  return `${name}@${version}`.slice(0, 150).concat(':', digest([path]).slice(0, 24))
}

function digest(parts: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex')
}
