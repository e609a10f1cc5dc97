// Scenarios of flows that end, or are cancelled, and of what nobody needs any more.
import type { FlowEvent } from '../vocabulary.ts'
import {
  again,
  apply,
  build,
  cancelFlow,
  create,
  edges,
  ended,
  expected,
  flow,
  gives,
  group,
  nodes,
  operate,
  replay,
  type Scenario,
  type Step,
  seen,
  spawn,
  start,
  tick,
  wait,
} from './steps.ts'

const named = (count: number, stem = 's') => Array.from({ length: count }, (_, at) => stem + at)
const intoD = (names: readonly string[]) => names.map((name) => `${name}>d`).join(' ')
const anyCancel = (down: string) => group(down, { policy: 'any', remaining: 'cancel' })

const running = [create(), build(['a', 'b', 'c', 'd'], 'c>d'), start('a')]

/** More than any one call would work on, in pieces as callers have to make them. */
function manySiblings(count: number): Step[] {
  const names = named(count)
  const size = 100
  const chunks = Array.from({ length: Math.ceil(count / size) }, (_, at) =>
    names.slice(at * size, (at + 1) * size),
  )
  return [
    build([{ name: 'd', hold: true }], '', { groups: [anyCancel('d')] }),
    ...chunks.map((chunk) => build(chunk, intoD(chunk))),
    apply({ seal: ['d'] }),
  ]
}

const unknownPolicy = { do: 'cancelFlow', policy: 'banana' } as unknown as FlowEvent

export const endingScenarios: readonly Scenario[] = [
  {
    name: 'an execution that has begun and waits again for the same upstreams cancels none of them',
    defects: [12],
    steps: [
      create(),
      build(['a', 'b', 'c', 'd', 'e'], 'a>d b>d c>d b>e c>e', {
        groups: [group('d', { policy: 'quorum', k: 1, remaining: 'cancel' })],
      }),
      ...ended('complete', 'a'),
      start('b'),
      start('d'),
      wait('d', { policy: 'all', impossible: 'resume', collect: 'first' }),
      operate('stop', 'c'),
      expected({ nodes: { b: 'active', c: 'cancelled', d: 'waiting', e: 'skipped' }, spared: 0 }),
    ],
  },
  {
    name: 'an upstream that another branch needs is not cancelled until that is decided too',
    defects: [12],
    steps: [
      create(),
      build(['a', 'b', 'd', 'e'], 'a>d b>d b>e', { groups: [anyCancel('d')], finish: true }),
      ...ended('complete', 'a'),
      expected({ nodes: { d: 'waiting', b: 'waiting', e: 'waiting_children' }, spared: 0 }),
      ...ended('complete', 'b', 'd', 'e'),
      flow('completed'),
    ],
  },
  {
    name: 'an upstream is cancelled once the last branch that needed it is decided, or over',
    defects: [12],
    steps: [
      create(),
      build(['a', 'b', 'c', 'd', 'e', 'f'], 'a>d b>d c>d b>e c>f', { groups: [anyCancel('d')] }),
      apply({ nodes: [{ name: 'g' }, { name: 'h' }], edges: edges('a>g b>h g>h'), groups: [] }),
      ...ended('complete', 'a'),
      nodes({ d: 'waiting', b: 'waiting', c: 'waiting' }),
      operate('stop', 'f'),
      expected({ nodes: { c: 'cancelled', b: 'waiting' }, spared: 1 }),
      operate('stop', 'e'),
      nodes({ b: 'waiting' }),
      ...ended('fail', 'g'),
      expected({ nodes: { h: 'skipped', b: 'cancelled' }, spared: 2 }),
    ],
  },
  {
    name: 'siblings that nobody needs are cancelled, and do the flow no harm',
    defects: [12],
    steps: [
      create(),
      build(['a', 'b', 'c', 'd'], 'a>d b>d c>d', { groups: [anyCancel('d')], finish: true }),
      start('c'),
      ...ended('complete', 'a'),
      expected({ nodes: { b: 'cancelled', c: 'cancelled', d: 'waiting' }, spared: 2 }),
      ...ended('complete', 'd'),
      flow('completed'),
    ],
  },
  {
    name: 'what a change decides by itself comes before what follows from it',
    defects: [],
    steps: [
      create({ failure: 'fail_fast' }),
      build(['a', 'b', 'd'], 'a>d b>d', { groups: [anyCancel('d')] }),
      ...ended('complete', 'a'),
      nodes({ b: 'cancelled', d: 'waiting' }),
      build(['x', 'y', 'z', 'w'], 'b>x x>y b>z', {
        groups: [{ down: 'y', policy: 'all', impossible: 'fail' }],
      }),
      expected({
        flow: 'failed',
        nodes: { x: 'skipped', y: 'failed', z: 'skipped', w: 'cancelled', d: 'cancelled' },
      }),
    ],
  },
  {
    name: 'all of very many siblings are cancelled',
    defects: [13],
    steps: [
      create(),
      ...manySiblings(1100),
      ...ended('complete', 's0'),
      expected({ nodes: { d: 'waiting', s1: 'cancelled', s1099: 'cancelled' }, spared: 1099 }),
    ],
  },
  {
    name: 'cancelling what is pending leaves only what runs, and that has no second try',
    defects: [14],
    steps: [
      ...running,
      cancelFlow('cancel_pending'),
      seen('cancelled cancel_pending'),
      expected({
        flow: 'cancelled',
        nodes: { a: 'active', b: 'cancelled', c: 'cancelled', d: 'cancelled' },
      }),
      gives('retry', 'a'),
      nodes({ a: 'failed' }),
    ],
  },
  {
    name: 'nobody goes on after a pause in a flow that was cancelled with what is pending',
    defects: [14],
    steps: [
      ...running,
      start('b'),
      start('c'),
      cancelFlow('cancel_pending'),
      gives('delay', 'a'),
      gives('suspend', 'b'),
      wait('c'),
      nodes({ a: 'cancelled', b: 'cancelled', c: 'cancelled', d: 'cancelled' }),
    ],
  },
  {
    name: 'a policy that nobody knows is refused',
    defects: [14],
    steps: [...running, { event: unknownPolicy }, seen('refused invalid_input'), flow('open')],
  },
  {
    name: 'cancelling everything leaves nobody running, and a wider wish counts',
    defects: [15],
    steps: [
      ...running,
      cancelFlow('flow_only'),
      nodes({ a: 'active', b: 'waiting', d: 'waiting_children' }),
      cancelFlow('cancel_all'),
      seen('cancelled cancel_all'),
      nodes({ a: 'cancelled', b: 'cancelled', c: 'cancelled', d: 'cancelled' }),
      cancelFlow('flow_only'),
      expected({ seen: 'cancelled cancel_all', policy: 'cancel_all' }),
    ],
  },
  {
    name: 'members that have ended stay as they are when their flow is cancelled',
    defects: [16],
    steps: [
      ...running,
      gives('complete', 'a'),
      ...ended('fail', 'c'),
      cancelFlow('cancel_all'),
      again,
      nodes({ a: 'completed', b: 'cancelled', c: 'failed', d: 'skipped' }),
      replay('a', true),
      seen('refused flow_ended'),
    ],
  },
  {
    name: 'nobody claims in a cancelled flow, and what runs may end',
    defects: [17],
    steps: [
      ...running,
      cancelFlow('flow_only'),
      start('b'),
      seen('nothing'),
      gives('complete', 'a'),
      nodes({ a: 'completed', b: 'blocked' }),
    ],
  },
  {
    name: 'what runs in a flow that alone was cancelled is tried again, but not claimed',
    defects: [17],
    steps: [
      ...running,
      cancelFlow('flow_only'),
      gives('retry', 'a'),
      nodes({ a: 'delayed' }),
      tick,
      start('a'),
      seen('nothing'),
      nodes({ a: 'blocked' }),
    ],
  },
  {
    name: 'nothing is added to a cancelled flow',
    defects: [18],
    steps: [
      ...running,
      cancelFlow('flow_only'),
      build(['e'], 'a>e'),
      seen('refused flow_ended'),
      spawn('a', ['e'], 'e>a'),
      seen('refused flow_ended'),
    ],
  },
  {
    name: 'tags do not get in the way of looking at a flow',
    defects: [19],
    steps: [
      create({ tags: '{"state":"banana","team":"ü"}' }),
      build(['a'], '', { finish: true }),
      expected({ flow: 'open', nodes: { a: 'waiting' } }),
    ],
  },
  {
    name: 'a flow of many members completes with the last of them',
    defects: [20],
    steps: [
      create(),
      build(named(60), '', { finish: true }),
      ...ended('complete', ...named(59)),
      flow('open'),
      ...ended('complete', 's59'),
      flow('completed'),
      build(['late']),
      seen('refused flow_ended'),
    ],
  },
  {
    name: 'a flow ends only when it is sealed and has members',
    defects: [20],
    steps: [
      create(),
      apply({ finish: true }),
      flow('open'),
      build(['a']),
      ...ended('complete', 'a'),
      flow('completed'),
      cancelFlow('cancel_all'),
      seen('ended completed'),
    ],
  },
  {
    name: 'the root decides where it is asked to',
    defects: [20],
    steps: [
      create({ completion: 'root', root: 'r' }),
      build(['a', 'r'], '', { finish: true }),
      ...ended('fail', 'a'),
      ...ended('complete', 'r'),
      flow('completed'),
    ],
  },
  {
    name: 'where the first failure counts, it takes everybody with it',
    defects: [20],
    steps: [
      create({ failure: 'fail_fast' }),
      build(['a', 'b', 'c'], 'b>c'),
      start('b'),
      ...ended('fail', 'a'),
      expected({ flow: 'failed', nodes: { b: 'cancelled', c: 'cancelled' } }),
    ],
  },
  {
    name: 'a long chain is no cycle, and a cycle is one',
    defects: [21],
    steps: [
      create(),
      build([{ name: 'c0', hold: true }]),
      ...Array.from({ length: 20 }, (_, at) => chain(1 + at * 60, 60)),
      build(['head'], 'head>c0', { seal: ['c0'] }),
      seen('applied 1 1'),
      build([{ name: 'h', hold: true }], 'c1200>h'),
      build(['i'], 'h>i'),
      apply({ edges: edges('i>h') }),
      seen('refused graph_cycle'),
      apply({ edges: edges('h>h') }),
      seen('refused graph_cycle'),
    ],
  },
  {
    name: 'a flow that completed runs again when it is reopened',
    defects: [],
    steps: [
      create(),
      build(['a', 'b'], 'a>b', { finish: true }),
      ...ended('complete', 'a', 'b'),
      replay('b', true),
      expected({ flow: 'open', nodes: { b: 'waiting' } }),
      ...ended('retry', 'b'),
      tick,
      ...ended('complete', 'b'),
      flow('completed'),
    ],
  },
]

function chain(from: number, count: number): Step {
  const names = Array.from({ length: count }, (_, at) => `c${from + at}`)
  return build(names, names.map((name, at) => `c${from + at - 1}>${name}`).join(' '))
}
