// Starts processes that open a directory, and reads what they print line by line.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterEach } from 'vitest'

const script = fileURLToPath(new URL('child.ts', import.meta.url))
const running = new Set<ChildProcess>()

afterEach(() => {
  for (const child of running) child.kill('SIGKILL')
})

export class Child {
  /** Everything that it printed. */
  readonly lines: string[] = []
  readonly #process: ChildProcess
  readonly #ended: Promise<unknown>
  #wake = () => {}

  constructor(child: ChildProcess) {
    this.#process = child
    running.add(child)
    // 'close' comes after the last line was read, 'exit' may come before.
    this.#ended = once(child, 'close').then(() => {
      running.delete(child)
      this.#wake()
    })
    createInterface({ input: child.stdout! }).on('line', (line) => {
      this.lines.push(line)
      this.#wake()
    })
  }

  /** Waits until it printed `count` lines. */
  async printed(count: number): Promise<void> {
    while (this.lines.length < count) {
      if (!running.has(this.#process)) throw new Error(`ended after: ${this.lines.join(', ')}`)
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  tell(line: string): void {
    this.#process.stdin!.write(`${line}\n`)
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal)
  }

  /** Waits until it has ended; returns its exit code, or null if a signal ended it. */
  async ended(): Promise<number | null> {
    await this.#ended
    return this.#process.exitCode
  }

  async kill(): Promise<void> {
    this.signal('SIGKILL')
    await this.#ended
  }
}

export function startChild(task: string, path: string, durability = 'committed'): Child {
  const parameters = ['--import', 'tsx', script, task, path, durability]
  return new Child(spawn(process.execPath, parameters, { stdio: ['pipe', 'pipe', 'inherit'] }))
}

/** Starts a child whose files may not grow over `fileKib`, as if the disk were full. */
export function startConfinedChild(task: string, path: string, fileKib: number): Child {
  const command = `ulimit -f ${fileKib}; exec "$0" --import tsx "$@"`
  const parameters = ['-c', command, process.execPath, script, task, path]
  return new Child(spawn('bash', parameters, { stdio: ['pipe', 'pipe', 'ignore'] }))
}
