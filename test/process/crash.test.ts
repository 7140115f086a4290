import { afterEach, describe, expect, it } from 'vitest'
import { cleanUp, temporaryDirectory } from '../support/process.ts'
import { killAgainAndAgain } from './kill-scenario.ts'

afterEach(cleanUp)

const KILLS = 22
const seed = Number(process.env['SEED'] ?? Date.now() % 100_000)

describe(`a server killed with SIGKILL under load (SEED=${seed})`, () => {
  it(
    `keeps, over ${KILLS} kills, all that it acknowledged, nothing by half, and the answers of every key`,
    { timeout: 180_000 },
    async () => {
      const data_dir = temporaryDirectory()
      const summary = await killAgainAndAgain({
        data_dir,
        kills: KILLS,
        connections: 16,
        writes: [20, 400],
        seed,
      })

      // The load was a load: everything was done, some of it was refused, and kills hit writes under way.
      const kinds = [
        'create',
        'start',
        'step',
        'step succeeded',
        'step failed',
        'step canceled',
        'retry',
        'note',
      ]
      expect(Object.keys(summary.done)).toEqual(expect.arrayContaining(kinds))
      expect(Object.keys(summary.done)).toEqual(
        expect.arrayContaining(['patch', 'succeeded', 'failed', 'quarantine', 'cancel']),
      )
      expect(summary.refused).toBeGreaterThan(0)
      expect(summary.found_done).toBeGreaterThan(0)
      expect(summary.found_undone).toBeGreaterThan(0)
    },
  )
})
