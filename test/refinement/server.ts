// Performs edges on a real server and compares the answers and everything stored with the model.
import { Redis } from 'ioredis'
import type { Bundle } from '../../scripts/bundle-lua.ts'
import { type RunningServer, startServer } from '../../scripts/servers.ts'
import { encodeCall } from '../../src/persistence/valkey/codec.ts'
import { answerText, dumpArguments, dumpText } from '../support/canonical.ts'
import { observingLibrary } from '../support/observing-library.ts'
import type { Edge, Expansion, Reached } from './explore.ts'
import { copyKeyspace, dumpOf, perform } from './model.ts'

const tag = '{hf:refinement:0}'

type Argument = string | Buffer | number

/** A server that performs edges under one build of the library. */
export interface EdgeRunner {
  /** The edges on which server and model differ, as text; none when they agree. */
  differences(expansion: Expansion): Promise<readonly string[]>
}

export interface EdgeServer {
  /** Loads a build. With `HOLDFAST_REFINEMENT_FLAVOUR=redis` the server is a Redis. */
  runner(library: Bundle): Promise<EdgeRunner>
  stop(): Promise<void>
}

export async function startEdgeServer(): Promise<EdgeServer> {
  // Sorted dumps must not depend on the language of whoever runs the tests.
  process.env.LC_ALL = 'C'
  const flavour = process.env.HOLDFAST_REFINEMENT_FLAVOUR === 'redis' ? 'redis' : 'valkey'
  const server: RunningServer = await startServer({ flavour })
  const client = new Redis(server.url.replace(/^valkey/, 'redis'))
  return {
    async runner(library) {
      await client.call('FUNCTION', 'FLUSH')
      await client.call('FUNCTION', 'LOAD', library.source)
      return { differences: (expansion) => differences(client, library.name, expansion) }
    },
    async stop() {
      client.disconnect()
      await server.stop()
    },
  }
}

export const shippedBuild = (): Bundle => observingLibrary()

function edgeArguments({ dump, edges }: Expansion): Argument[] {
  const state = dumpArguments(dump)
  const args: Argument[] = [state.length]
  for (const part of state) args.push(part)
  for (const { nowMs, call } of edges) {
    const parts = encodeCall(call.name, call.args)
    args.push(nowMs, parts.length)
    for (const part of parts) args.push(part as string | Buffer)
  }
  return args
}

async function differences(
  client: Redis,
  library: string,
  expansion: Expansion,
): Promise<readonly string[]> {
  const { edges } = expansion
  const command = [`${library}_edges`, 1, tag, ...edgeArguments(expansion)] as const
  const digests = (await client.call('FCALL', ...command)) as string[]
  const differing = edges.filter((edge, index) => edge.digest !== digests[index])
  // Three are enough to see what is wrong.
  return Promise.all(
    differing.slice(0, 3).map((edge) => describe(client, library, expansion, edge)),
  )
}

/** How to get there, what was called, and what the model and the server made of it. */
async function describe(
  client: Redis,
  library: string,
  { state, dump }: Expansion,
  edge: Edge,
): Promise<string> {
  const args = edgeArguments({ state, dump, edges: [edge] })
  const command = [`${library}_edges_in_full`, 1, tag, ...args] as const
  const replies = (await client.callBuffer('FCALL', ...command)) as [[Buffer, Buffer]]
  const [reply, after] = replies[0]
  const keyspace = copyKeyspace(state.keyspace)
  const answer = perform(keyspace, edge.nowMs, edge.call)
  const model = dumpText(dumpOf(keyspace))
  return [
    ...traceOf(state),
    `at ${edge.nowMs} ${written(edge.call)}`,
    `model answers  ${answerText(edge.call.name, answer)}`,
    `server answers ${reply.toString('latin1')}`,
    ...firstDifference(model, after.toString('latin1')),
  ].join('\n')
}

/** The calls that lead to a state from nothing. */
function traceOf(state: Reached): string[] {
  const calls: string[] = []
  for (let at: Reached | undefined = state; at !== undefined; at = at.from) {
    if (at.by !== undefined) calls.unshift(`at ${at.by.nowMs} ${written(at.by.call)}`)
  }
  return calls
}

function written({ name, args }: { readonly name: string; readonly args: object }): string {
  const plain = Object.entries(args).map(([argument, value]) => [
    argument,
    value instanceof Uint8Array ? Buffer.from(value).toString() : value,
  ])
  return `${name} ${JSON.stringify(Object.fromEntries(plain))}`
}

function firstDifference(model: string, server: string): string[] {
  if (model === server) return []
  let at = 0
  while (model[at] === server[at]) at += 1
  const from = Math.max(0, at - 120)
  return [
    `model stores  …${model.slice(from, at + 80)}`,
    `server stores …${server.slice(from, at + 80)}`,
  ]
}
