// Random graphs and plays: the driver must agree with the oracle about itself, and reach all ends.
import { describe, expect, it } from 'vitest'
import { missing, playAll } from './random-plays.ts'
import { oracleSubject } from './subjects/oracle-subject.ts'

describe('Random plays', () => {
  it('come to every end, and leave the oracle nothing to say against itself', async () => {
    expect(missing(await playAll(async () => oracleSubject(), { runs: 300 }))).toEqual([])
  })

  it('can be followed by a subject that leaves work over', async () => {
    const lagging = async () => oracleSubject(undefined, 1)
    expect(missing(await playAll(lagging, { runs: 300 }))).toEqual([])
  })
})
