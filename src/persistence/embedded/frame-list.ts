// The kept frames of one list, oldest first; the twin of the lists in lua/lib/frames.lua.

/** A frame as it is stored; see `packFrame`. */
export interface PackedFrame {
  readonly number: number
  readonly packed: Uint8Array
}

/** What an append hands in. */
export interface NewFrame {
  readonly number: number
  readonly mode: string
  readonly encoding: string
  readonly atMs: number
  readonly version: number | undefined
  readonly type: string
  readonly correlation: string | undefined
  readonly payload: Uint8Array
}

/** The frame byte for byte as the other store keeps it. */
export function packFrame(frame: NewFrame): PackedFrame {
  const { number, mode, encoding, atMs, version, type, correlation, payload } = frame
  const related = correlation === undefined ? undefined : Buffer.from(correlation)
  const header = [
    number,
    mode[0],
    encoding[0],
    atMs,
    version ?? '-',
    type,
    related?.byteLength ?? '-',
  ].join(' ')
  const packed = Buffer.concat([Buffer.from(`${header}\n`), related ?? Buffer.alloc(0), payload])
  return { number, packed }
}

/** Reads back what `packFrame` made; throws when it is something else. */
export function storedFrame(packed: Uint8Array): PackedFrame {
  const head = Buffer.from(packed.buffer, packed.byteOffset, Math.min(packed.byteLength, 20))
  const digits = /^\d+(?= )/.exec(head.toString('latin1'))
  if (digits === null) throw new Error('has another form')
  return { number: Number(digits[0]), packed }
}

export class FrameList {
  private frames: PackedFrame[] = []

  get length(): number {
    return this.frames.length
  }

  get first(): number | undefined {
    return this.frames[0]?.number
  }

  all(): readonly PackedFrame[] {
    return this.frames
  }

  at(position: number): PackedFrame | undefined {
    return this.frames[position]
  }

  push(frame: PackedFrame): void {
    this.frames.push(frame)
  }

  /** Keeps the newest; returns those that are gone. */
  trim(kept: number): readonly PackedFrame[] {
    return this.frames.splice(0, Math.max(0, this.frames.length - kept))
  }

  /** The position of the first frame with that number or a later one. */
  seek(from: number): number {
    let low = 0
    let high = this.frames.length
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      if ((this.frames[middle] as PackedFrame).number < from) low = middle + 1
      else high = middle
    }
    return low
  }
}
