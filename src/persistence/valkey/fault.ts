// Tells the faults of a server or a connection apart; the only place that reads their texts.
import { EngineError } from '../../errors.ts'

/** What to do about a fault. */
export type Fault =
  /** The server has lost the library (restart, failover, flush): load it and call again. */
  | 'library_missing'
  /** Nothing is known about the call: wait and call again. */
  | 'connection'
  | 'out_of_memory'
  | 'other'

/** What the client library and the operating system say when a connection fails. */
const clientTexts = [
  'Connection is closed',
  'Connection ended',
  "Stream isn't writeable",
  'max retries per request',
  'Socket timeout',
  'Command timed out',
  'ECONN',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'Failed to refresh slots',
  'None of startup nodes',
  "Cluster isn't ready",
]

/** What a server says while it starts, fails over, or moves slots. */
const serverTexts =
  /^(LOADING|READONLY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|MOVED|ASK|UNBLOCKED|NOREPLICAS|BUSY)\b/

function isConnectionText(text: string): boolean {
  return serverTexts.test(text) || clientTexts.some((part) => text.includes(part))
}

export function classifyFault(error: unknown): Fault {
  const text = error instanceof Error ? error.message : String(error)
  if (/Function not found/i.test(text)) return 'library_missing'
  if (/^OOM\b|used memory > 'maxmemory'/.test(text)) return 'out_of_memory'
  const name = error instanceof Error ? error.name : ''
  if (/MaxRetriesPerRequestError|ClusterAllFailedError|AbortError/.test(name)) return 'connection'
  return isConnectionText(text) ? 'connection' : 'other'
}

/** The error that callers see for a fault that repeating the call does not cure. */
export function faultError(error: unknown): EngineError {
  if (error instanceof EngineError) return error
  const text = error instanceof Error ? error.message : String(error)
  const fault = classifyFault(error)
  const code = fault === 'out_of_memory' ? 'server_out_of_memory' : 'server_fault'
  // The client library's own error carries the whole command: payloads do not belong in errors.
  return new EngineError(code, text, { cause: new Error(text) })
}
