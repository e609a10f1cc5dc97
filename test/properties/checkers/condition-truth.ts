// What is stored of a condition is what its definition says over all signals of the suspension.

import { type Suspension, suspensionOf, waitpointsOf } from '../waiting.ts'
import { contributions, type Episode, episodeOf, holds } from './naive-condition.ts'
import type { Performed } from './performed.ts'

export function conditionTruth({ before, after }: Performed): string | undefined {
  if (before.text === after.text) return undefined
  for (const id of after.records.keys()) {
    const s = suspensionOf(after.dump, id)
    // Escalation replaces the condition; what was counted before stays.
    if (s === undefined || s.f.has('escalated_at')) continue
    const episode = episodeOf(after.dump, id, s)
    const why =
      tokensProblem(s, episode) ??
      closerProblem(s, episode) ??
      matchedProblem(after.dump, id, s, episode)
    if (why !== undefined) return `${id} ${why}`
  }
  return undefined
}

const written = (tokens: ReadonlyMap<string, number>) =>
  [...tokens]
    .map(([token, position]) => `${token}=${position}`)
    .sort()
    .join(' ')

function tokensProblem(s: Suspension, episode: Episode): string | undefined {
  const { tokens, effects } = contributions(episode)
  const [wanted, given] = [written(tokens), written(s.tokens)]
  if (wanted !== given) return `counted "${given}", not "${wanted}"`
  const closer = Number(s.f.get('closer'))
  for (const { position, effect } of episode.signals) {
    const told = position === closer ? 'resume_condition_satisfied' : effects.get(position)
    if (effect !== told) return `says that signal ${position} did ${effect}, not ${told}`
  }
  const count = Number(s.f.get('count'))
  return count === episode.signals.length ? undefined : `counted ${count} signals in all`
}

/** The signal that resumed it is the first one with which the condition holds. */
function closerProblem(s: Suspension, episode: Episode): string | undefined {
  if (s.f.get('closed') !== 'resumed') return undefined
  const closer = Number(s.f.get('closer'))
  const upTo = (last: number): Episode => ({
    ...episode,
    signals: episode.signals.filter(({ position }) => position <= last),
  })
  if (!holds(upTo(closer))) return 'was resumed by signals that do not meet its condition'
  return holds(upTo(closer - 1)) ? 'was resumed later than its condition was met' : undefined
}

/** Each waitpoint knows which of its signals counted. */
function matchedProblem(
  dump: Performed['after']['dump'],
  id: string,
  s: Suspension,
  { signals }: Episode,
): string | undefined {
  const counted = new Set(s.tokens.values())
  for (const point of waitpointsOf(dump, id)) {
    if (!s.ids.includes(point.id)) continue
    const own = signals.filter(({ waitpoint }) => waitpoint === point.id)
    const wanted = own.map(({ position }) => position).filter((position) => counted.has(position))
    const given = point.matched
    if (wanted.join() !== given.join()) return `says that ${given} counted at ${point.id}`
  }
  return undefined
}
