// The durable tasks: one audits an installed package, with a fault for one in seven; one counts.

import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { z } from 'zod'
import { task } from '../src/index.ts'
import { type Decision, decisionOn, needsApproval } from './approval.ts'
import { readContents } from './contents.ts'
import { busyError, isFaulty } from './fault.ts'
import { classify, type Verdict } from './licence.ts'
import type { InstalledPackage } from './packages.ts'

/** What the audit of one package found. */
export interface PackageAudit extends InstalledPackage, Verdict {
  readonly bytes: number
  /**
   * One, and one more for the injected fault. The engine also counts attempts that died with their
   * process and were taken over. How many those are depends on the moment of the kill, and a
   * package whose first attempt was killed never meets its fault, because its next attempt is no
   * longer the first: the killed attempt stands in for the failed one. So the task states the
   * figure itself, and it is the same on every backend and after every kill.
   */
  readonly attempts: number
  /** What somebody decided, when the licence needed it. */
  readonly approval?: Decision
}

export interface AuditTaskOptions {
  readonly lane: string
  /** How long each package takes at least, for those who want to watch, or to kill in time. */
  readonly paceMs: number
}

export type AuditInput = z.input<typeof auditInput>

const auditInput = z.object({
  root: z.string(),
  path: z.string(),
  name: z.string(),
  version: z.string(),
})

export function auditTask({ lane, paceMs }: AuditTaskOptions) {
  return task({
    name: 'audit-package',
    input: auditInput,
    // One for the fault, one for the work; the rest is for attempts lost when processes are killed.
    retry: { attempts: 5, backoff: 'fixed', delay: 50 },
    lane,
    async run(ctx, { root, path, name, version }): Promise<PackageAudit> {
      const folder = join(root, path)
      if (paceMs > 0) await delay(paceMs, undefined, { signal: ctx.signal })
      if (ctx.attempt === 0 && isFaulty(name)) throw busyError(folder)
      await ctx.progress(10, 'reading')
      const { manifest, licenceFiles, bytes } = await readContents(folder, ctx.signal)
      await ctx.progress(80, 'classifying')
      const verdict = classify(manifest, licenceFiles)
      const attempts = isFaulty(name) ? 2 : 1
      const audit = { path, name, version, ...verdict, bytes, attempts }
      // After the answer the task runs again from its start, and comes here a second time.
      return needsApproval(verdict) ? { ...audit, approval: await decisionOn(ctx, verdict) } : audit
    },
  })
}

/** What became of all packages. */
export interface Tally {
  readonly audited: number
  readonly lost: number
}

/** Comes after all audits, however they ended; `earlier` were finished by flows before this one. */
export function tallyTask({ lane }: Pick<AuditTaskOptions, 'lane'>) {
  return task({
    name: 'audit-report',
    lane,
    retry: { attempts: 5, backoff: 'fixed', delay: 50 },
    async run(ctx, earlier: number): Promise<Tally> {
      const { list } = await ctx.inputs()
      const lost = list.filter(({ outcome }) => outcome !== 'completed').length
      return { audited: earlier + list.length - lost, lost }
    },
  })
}
