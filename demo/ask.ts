// What the terminal says about packages that wait for an approval.

import { shortened, widthMax } from './progress.ts'
import { amount } from './summary.ts'
import type { WaitingPackage } from './waiting.ts'

/** The link has a line of its own, to be clicked or copied; with the line above it is a command. */
export function askText(asked: WaitingPackage): string {
  return [
    shortened(`waiting: ${titleOf(asked)}`, widthMax),
    `  curl -H 'content-type: application/json' -d '{"approve":true}' \\`,
    `${asked.url}`,
  ].join('\n')
}

export function approvedText(asked: WaitingPackage): string {
  return shortened(`approved ${titleOf(asked)}`, widthMax)
}

/** Said once nothing else is left to do. */
export function idleText(count: number, held: number): string {
  const who = count === 1 ? '1 package waits' : `${count} packages wait`
  const behind = held === 0 ? [] : [`Behind: ${amount(held, 'package')} that depend on them.`]
  return [
    '',
    `Everything else is done: ${who} for your approval.`,
    ...behind,
    'Open a link and press its button, or paste its two lines into a shell;',
    '{"approve":false} rejects. Killed and started again, the audit still waits;',
    'stopped, it asks again. To approve all, stop this and run',
    'npm run demo -- --approve-all',
    '',
  ].join('\n')
}

export function leftText(left: number, waiting: number): string {
  const next = `Run the same command again to continue with the other ${left}.`
  if (waiting === 0) return next
  return `${next}\n${amount(waiting, 'package')} waiting for approval: new links come then.`
}

/** Names come from strangers' files: they must not steer the terminal. */
export function titleOf({ package: { name, version }, licence }: WaitingPackage): string {
  return `${name}@${version}, ${licence}`.replace(/\p{Cc}/gu, '?')
}
