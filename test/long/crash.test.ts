import { afterEach, describe, expect, it } from 'vitest'
import { killAgainAndAgain } from '../process/kill-scenario.ts'
import { cleanUp, temporaryDirectory } from '../support/process.ts'

afterEach(cleanUp)

const seed = Number(process.env['SEED'] ?? Date.now() % 100_000)
const LEDGERS = 3
const KILLS = 30

describe(`a server killed with SIGKILL under load (SEED=${seed})`, () => {
  it.each(Array.from({ length: LEDGERS }, (_, index) => index + 1))(
    `keeps all that it acknowledged, over ${KILLS} kills of ledger %i`,
    async (ledger) => {
      const summary = await killAgainAndAgain({
        data_dir: temporaryDirectory(),
        kills: KILLS,
        connections: 32,
        writes: [50, 700],
        seed: seed + 1_000 * ledger,
      })
      expect(summary.found_done).toBeGreaterThan(0)
      expect(summary.found_undone).toBeGreaterThan(0)
      expect(summary.refused).toBeGreaterThan(0)
    },
  )
})
