// Random installing, replacing and reading of the keys that sign waitpoint tokens.
import type { Choices } from '../choices.ts'
import type { Call, Step } from '../world.ts'
import { secretOf } from './suspend.ts'

const one = (call: Call): Step[] => [{ step: 'call', call }]
const kids = ['k1', 'k2', 'k3', 'k4'] as const

export function keyring(choices: Choices): Step[] {
  const kid = choices.one(kids)
  switch (choices.below(4)) {
    case 0:
      return one({ name: 'keyring.read', args: {} })
    case 1:
      return one({ name: 'keyring.seed', args: { kid, secret: secretOf(kid) } })
    default: {
      const secret = choices.rarely(6) ? secretOf('other') : secretOf(kid)
      const grace_ms = choices.one([1000, 0, 1, 60_000])
      return one({ name: 'keyring.rotate', args: { kid, secret, grace_ms } })
    }
  }
}
