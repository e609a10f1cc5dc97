// Closed waitpoints and suspensions stay as they are; nothing is accepted that came too late.
import { hashOf, suspensionOf, type Waitpoint, waitpointsOf } from '../waiting.ts'
import { type Performed, pairs } from './performed.ts'

export function closedStaysClosed(performed: Performed): string | undefined {
  const { before, after } = performed
  const late = lateProblem(performed)
  if (late !== undefined || before.text === after.text) return late
  for (const [id, , fields] of pairs(performed)) {
    if (fields === undefined) continue
    const why = waitpointProblem(performed, id) ?? suspensionProblem(performed, id)
    if (why !== undefined) return `${id} ${why}`
  }
  return undefined
}

const order = ['pending', 'active', 'closed']

function waitpointProblem({ before, after }: Performed, id: string): string | undefined {
  const now = new Map(waitpointsOf(after.dump, id).map((point) => [point.id, point]))
  for (const point of waitpointsOf(before.dump, id)) {
    const is = now.get(point.id)
    if (is === undefined) return `lost the waitpoint ${point.id}`
    if (order.indexOf(is.state) < order.indexOf(point.state)) return `opened ${point.id} again`
    if (fixed(is) !== fixed(point)) return `changed what ${point.id} is`
    const isClosed = point.state === 'closed'
    if (isClosed && JSON.stringify(is) !== JSON.stringify(point)) return `changed ${point.id}`
  }
  return undefined
}

function fixed({ key, kid, attempt, run, scope, created_at: createdAt }: Waitpoint): string {
  return [key, kid, attempt, run, scope, createdAt].join(' ')
}

/** Another suspension may take the place of a closed one. */
function suspensionProblem({ before, after }: Performed, id: string): string | undefined {
  const [was, is] = [suspensionOf(before.dump, id), suspensionOf(after.dump, id)]
  if (was === undefined || was.isOpen) {
    const isReplaced = was !== undefined && was.episode !== is?.episode
    return isReplaced ? `lost the open suspension ${was.id}` : undefined
  }
  if (was.episode !== is?.episode) return undefined
  const text = (of: Performed['after']) => JSON.stringify([...hashOf(of.dump, `wait:${id}`)])
  return text(before) === text(after) ? undefined : `changed its closed suspension ${was.id}`
}

function lateProblem({ call, answer, before, nowMs }: Performed): string | undefined {
  if (call.name !== 'signal.deliver' || answer.outcome !== 'accepted') return undefined
  const { id, waitpoint } = call.args
  const point = waitpointsOf(before.dump, id).find((known) => known.id === waitpoint)
  if (point === undefined) return `a signal was accepted at ${waitpoint}, which nobody issued`
  if (point.state === 'closed') return `a signal was accepted at ${waitpoint}, which is closed`
  const hasExpired = point.expires_at !== undefined && point.expires_at <= nowMs
  const isLate = point.state === 'pending' && hasExpired
  return isLate ? `a signal was accepted at ${waitpoint}, which has expired` : undefined
}
