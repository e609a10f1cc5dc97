// Where faults go that no caller is there to hear of.

/** Hears of a fault; what it throws itself must not take the engine down. */
export type FaultListener = (error: unknown) => void

function warn(error: unknown): void {
  process.emitWarning(error instanceof Error ? error : new Error(String(error)))
}

/** The user's listener, or a process warning; a listener that throws becomes a warning too. */
export function faultListener(listener: FaultListener | undefined): FaultListener {
  if (listener === undefined) return warn
  return (error) => {
    try {
      listener(error)
    } catch (thrown) {
      warn(thrown)
    }
  }
}
