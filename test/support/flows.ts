// Short ways to flows: graphs by the names of their nodes, and their members' endings.
import { expect } from 'vitest'
import type { ExecutionId } from '../../src/ids.ts'
import type {
  ClaimedExecution,
  EngineBackend,
  FlowEdge,
  FlowId,
  FlowMember,
  FlowSnapshot,
  FlowSpec,
  Join,
} from '../../src/persistence/backend.ts'
import { bytes, claimAll, describeOne } from './executions.ts'

type EdgeOptions = Pick<FlowEdge, 'kind' | 'name'>

/** A graph by names: each node, after which others, and how these are joined. */
export interface GraphSpec {
  readonly nodes: readonly string[]
  /** `a>b` means that b waits for a. */
  readonly edges?: readonly string[]
  readonly joins?: Readonly<Record<string, Join>>
  readonly edge?: EdgeOptions
  readonly flow?: Partial<FlowSpec>
  readonly member?: Partial<FlowMember>
  /** Default true: the flow ends once all nodes have. */
  readonly finish?: boolean
}

/** A flow in the hands of a test. */
export class FlowUnderTest {
  readonly backend: EngineBackend
  readonly flowId: FlowId

  constructor(backend: EngineBackend, flowId: FlowId) {
    this.backend = backend
    this.flowId = flowId
  }

  id(name: string): ExecutionId {
    return this.backend.memberId(this.flowId, name)
  }

  member(name: string, overrides: Partial<FlowMember> = {}): FlowMember {
    return { id: this.id(name), lane: 'lane', task: name, input: bytes(name), ...overrides }
  }

  edge(text: string, options: EdgeOptions = {}): FlowEdge {
    const [upstream = '', downstream = ''] = text.split('>')
    return { upstream: this.id(upstream), downstream: this.id(downstream), ...options }
  }

  async describe(): Promise<FlowSnapshot> {
    const snapshot = await this.backend.describeFlow(this.flowId)
    expect(snapshot).toBeDefined()
    return snapshot as FlowSnapshot
  }

  /** The public states of nodes by name. */
  async states(...names: readonly string[]): Promise<Readonly<Record<string, string>>> {
    const found = await Promise.all(
      names.map(async (name) => {
        const { publicState } = await describeOne(this.backend, this.id(name))
        return [name, publicState] as const
      }),
    )
    return Object.fromEntries(found)
  }

  /** Claims everything that can run; the claims by node. */
  async claim(): Promise<ReadonlyMap<string, ClaimedExecution>> {
    const claims = await claimAll(this.backend)
    return new Map(claims.map((claim) => [claim.task, claim]))
  }

  /** Claims what can run, which must be exactly these nodes, and ends each as asked. */
  async run(endings: Readonly<Record<string, 'completes' | 'fails' | 'holds'>>): Promise<void> {
    const claims = await this.claim()
    expect([...claims.keys()].sort()).toEqual(Object.keys(endings).sort())
    for (const [name, ending] of Object.entries(endings)) {
      const { handle } = claims.get(name) as ClaimedExecution
      if (ending === 'completes') await this.backend.complete(handle, bytes(`result of ${name}`))
      if (ending === 'fails') await this.backend.fail(handle, { message: name }, 'permanent')
    }
  }
}

/** A flow with that graph, stored in one step. */
export async function startFlow(
  backend: EngineBackend,
  { nodes, edges = [], joins = {}, edge, flow, member, finish = true }: GraphSpec,
): Promise<FlowUnderTest> {
  const flowId = backend.flowId(flow?.idempotencyKey)
  const started = new FlowUnderTest(backend, flow?.flowId ?? flowId)
  await backend.createFlow(
    { kind: 'test', flowId: started.flowId, ...flow },
    {
      members: nodes.map((name) => started.member(name, member)),
      edges: edges.map((text) => started.edge(text, edge)),
      joins: Object.entries(joins).map(([name, join]) => ({
        downstream: started.id(name),
        ...join,
      })),
      finish,
    },
  )
  return started
}
