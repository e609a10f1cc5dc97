// The human in the audit: which licences wait for an approval, and what an answer means.

import type { TaskContext } from '../src/index.ts'
import type { Category } from './category.ts'
import type { Verdict } from './licence.ts'
import { shortened } from './progress.ts'

export type Decision = 'approved' | 'rejected'

const asking: ReadonlySet<Category> = new Set(['weak-copyleft', 'copyleft', 'unknown'])

const licenceLengthMax = 200

/** Whoever uses such a package takes on duties, or does not know which. */
export function needsApproval({ category }: Verdict): boolean {
  return asking.has(category)
}

/** Waits until somebody has decided; meanwhile the execution is suspended and its worker free. */
export async function decisionOn(ctx: TaskContext, verdict: Verdict): Promise<Decision> {
  // For those who look at what waits, also after a restart.
  const { expression, category } = verdict
  await ctx.progress(90, `${shortened(expression, licenceLengthMax)} (${category})`)
  for (;;) {
    const { payload } = await ctx.waitFor('approval', { reason: 'waiting_for_approval' })
    const decision = decisionFrom(payload)
    // What is not an answer must neither pass for one nor end the audit: it is asked again.
    if (decision !== undefined) return decision
  }
}

/** `{"approve": true}` or `{"approve": false}`; nothing at all is the page's button: yes. */
export function decisionFrom(payload: unknown): Decision | undefined {
  if (payload === undefined) return 'approved'
  const { approve } = objectFrom(payload)
  if (typeof approve !== 'boolean') return undefined
  return approve ? 'approved' : 'rejected'
}

/** Also from text: curl calls JSON a form unless told otherwise. */
function objectFrom(payload: unknown): { readonly approve?: unknown } {
  try {
    const value: unknown = typeof payload === 'string' ? JSON.parse(payload) : payload
    return typeof value === 'object' && value !== null ? value : {}
  } catch {
    return {}
  }
}
