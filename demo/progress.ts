// Shows how far the audit has come: a live line on a terminal, elsewhere a line now and then.

/** The part of a stream that is used, so that tests can pass their own. */
export interface Screen {
  readonly isTTY?: boolean
  readonly columns?: number
  write(text: string): unknown
}

export interface ProgressFigures {
  readonly total: number
  readonly ended: number
  readonly retried: number
  readonly lost: number
  /** Packages whose licence waits for an approval. */
  readonly waiting: number
  /** Packages that come after others that have not ended. */
  readonly held: number
  /** The package that ended last. */
  readonly latest: string
}

export const widthMax = 80
const redrawMs = 50
const plainLineMs = 500
const barCells = 20

export class Progress {
  readonly #screen: Screen
  #figures: ProgressFigures
  #timer: NodeJS.Timeout | undefined
  #shown = ''

  constructor(screen: Screen, total: number) {
    this.#screen = screen
    this.#figures = { total, ended: 0, retried: 0, lost: 0, waiting: 0, held: 0, latest: '' }
    const everyMs = screen.isTTY === true ? redrawMs : plainLineMs
    this.#timer = setInterval(() => this.#show(), everyMs)
    // The display alone must not keep the process alive.
    this.#timer.unref()
  }

  ended(name: string, how: { readonly retried: boolean; readonly lost: boolean }): void {
    const { ended, retried, lost } = this.#figures
    this.#figures = {
      ...this.#figures,
      ended: ended + 1,
      retried: retried + (how.retried ? 1 : 0),
      lost: lost + (how.lost ? 1 : 0),
      latest: name,
    }
  }

  waiting(count: number): void {
    this.#figures = { ...this.#figures, waiting: count }
  }

  held(count: number): void {
    this.#figures = { ...this.#figures, held: count }
  }

  get heldCount(): number {
    return this.#figures.held
  }

  /** Whether nothing is left to do but to wait. */
  get idle(): boolean {
    const { total, ended, waiting, held } = this.#figures
    return waiting > 0 && ended + waiting + held === total
  }

  /** Says something that stays, above the line that changes. */
  note(text: string): void {
    if (this.#screen.isTTY !== true) {
      this.#screen.write(`${text}\n`)
      return
    }
    this.#screen.write(`\r\x1b[2K${text}\n`)
    this.#shown = ''
    if (this.#timer !== undefined) this.#show()
  }

  /** Leaves the last state standing; further calls change nothing. */
  stop(): void {
    if (this.#timer === undefined) return
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#show()
    if (this.#screen.isTTY === true) this.#screen.write('\n')
  }

  #show(): void {
    const { ended, waiting } = this.#figures
    if (this.#shown === `${ended} ${waiting}`) return
    this.#shown = `${ended} ${waiting}`
    if (this.#screen.isTTY === true) {
      // One column stays free: some terminals wrap when the last one is written.
      // A terminal of unknown size says 0.
      const width = Math.min(this.#screen.columns || widthMax, widthMax) - 1
      this.#screen.write(`\r\x1b[2K${liveLine(this.#figures, width)}`)
    } else {
      this.#screen.write(`${plainLine(this.#figures)}\n`)
    }
  }
}

export function liveLine(figures: ProgressFigures, width: number): string {
  const { total, ended, latest } = figures
  const share = total === 0 ? 1 : ended / total
  const filled = Math.floor(share * barCells)
  const bar = '█'.repeat(filled) + '░'.repeat(barCells - filled)
  const percent = `${Math.floor(share * 100)}%`.padStart(4)
  const parts = [`${bar}${percent}`, `${ended}/${total}`, ...remarks(figures)]
  const line = ended === total ? parts.join('  ') : [...parts, latest].join('  ')
  return shortened(line, width)
}

function plainLine(figures: ProgressFigures): string {
  return [`audited ${figures.ended} of ${figures.total} packages`, ...remarks(figures)].join(', ')
}

export function shortened(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`
}

function remarks({ retried, lost, waiting }: ProgressFigures): string[] {
  return [
    retried > 0 ? `${retried} retried` : '',
    lost > 0 ? `${lost} lost` : '',
    waiting > 0 ? `${waiting} waiting` : '',
  ].filter(Boolean)
}
