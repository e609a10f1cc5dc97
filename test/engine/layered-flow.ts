// A flow of layers, each node after three of the layer before, for processes that are killed.
import { type Engine, type FlowNode, type FlowRun, task } from '../../src/index.ts'

/** Adds up what came before, so that the end tells whether every node got all of its inputs. */
export const layered = task({
  name: 'layered',
  retry: { attempts: 3, delay: 1 },
  async run(context, own: number) {
    const { list } = await context.inputs()
    const sums = list.map((input) => (input.outcome === 'completed' ? Number(input.result) : NaN))
    return sums.reduce((sum, one) => sum + one, own)
  },
})

const width = 20
const layerCount = 10

/** What the last layer of the flow comes to: every node is one more than all before it. */
export const layeredTotal =
  width * Array.from({ length: layerCount }, (_, at) => 3 ** at).reduce((sum, one) => sum + one, 0)

export function submitLayered(engine: Engine): Promise<FlowRun> {
  const flow = engine.flow('layers', { idempotencyKey: 'layers' })
  let before: readonly FlowNode<number>[] = []
  for (let layer = 0; layer < layerCount; layer++) {
    before = Array.from({ length: width }, (_, at) => {
      const after = [0, 1, 2].flatMap((step) => before[(at + step) % width] ?? [])
      return flow.add(layered, 1, { after })
    })
  }
  flow.add(layered, 0, { name: 'total', after: before })
  return flow.submit()
}
