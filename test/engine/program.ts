// A process that uses an engine as it is told on the command line, and prints what it saw.
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { type Engine, isEngineError, openEngine, task } from '../../src/index.ts'
import { layered, submitLayered } from './layered-flow.ts'

const [command = '', place = '', namespace = ''] = process.argv.slice(2)
const input = createInterface({ input: process.stdin })

const note = task({
  name: 'note',
  retry: { attempts: 3, delay: 1 },
  run: ({ attempt }, number: number) => ({ number, attempt, pid: process.pid }),
})

function open(): Promise<Engine> {
  if (place.includes('://')) return openEngine({ url: place, namespace })
  return openEngine(place === '' ? {} : { directory: place })
}

/** Works until it is killed; each attempt ends when a line is read. */
async function hold(): Promise<void> {
  const engine = await open()
  const held = task({
    name: 'held',
    async run({ attempt }) {
      console.log(`begun ${attempt}`)
      const [line] = await once(input, 'line')
      return { attempt, line }
    },
  })
  await engine.work([held], { lease: '1s' })
  console.log('working')
}

/** Works until it is killed. */
async function work(): Promise<void> {
  const engine = await open()
  await engine.work([note], { lease: '1s', concurrency: 5 })
  console.log('working')
}

/** Submits without end and prints each acknowledged number and id. Nobody works. */
async function submit(): Promise<void> {
  const engine = await open()
  for (let number = 0; ; number++) {
    const { id } = await engine.submit(note, number)
    console.log(`${number} ${id}`)
  }
}

/** Submits and works without end, and prints each result with its id. */
async function churn(): Promise<void> {
  const engine = await open()
  await engine.work([note], { lease: '1s', concurrency: 5 })
  const next = async (number: number): Promise<void> => {
    const execution = await engine.submit(note, number)
    const result = await execution.result()
    console.log(`${execution.id} ${JSON.stringify(result)}`)
    return next(number + 10)
  }
  await Promise.all(Array.from({ length: 10 }, (_, number) => next(number)))
}

/** Submits a flow and works on it; each attempt that ends prints a line. */
async function flow(): Promise<void> {
  const engine = await open()
  const telling = { ...layered, run: tellingRun(layered) }
  await engine.work([telling], { lease: '1s', concurrency: 3 })
  await submitLayered(engine)
}

function tellingRun(of: typeof layered): typeof layered.run {
  return async (context, own) => {
    const result = await of.run(context, own)
    console.log(context.executionId)
    return result
  }
}

/** Does some work, closes, and leaves the rest to the process: nothing may keep it alive. */
async function leave(): Promise<void> {
  const engine = await open()
  const deaf = task({
    name: 'deaf',
    attemptTimeout: '1h',
    run: () => {
      console.log('begun')
      return new Promise(() => undefined)
    },
  })
  await engine.work([note])
  await engine.work([deaf])
  await (await engine.submit(note, 1)).result({ timeout: '1h' })
  await engine.submit(deaf, undefined)
  await once(input, 'line')
  await engine.close({ grace: 0 })
  input.close()
  process.stdin.unref()
  console.log('closed')
}

/** Opens, and says how that went. */
async function attempt(): Promise<void> {
  console.log(
    await open().then(
      () => 'open',
      (error) => (isEngineError(error) ? error.code : String(error)),
    ),
  )
}

const commands: Readonly<Record<string, () => Promise<void>>> = {
  attempt,
  churn,
  flow,
  hold,
  leave,
  submit,
  work,
}
await commands[command]?.()
