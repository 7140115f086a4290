import { afterEach, describe, expect, it } from 'vitest'
import { cleanUp, temporaryDirectory } from '../support/process.ts'
import { MAX_PARALLEL } from './claim-ledger.ts'
import { claimUnderKills } from './claim-scenario.ts'

afterEach(cleanUp)

const REQUESTS = 1_000
const KILLS = 8
const seed = Number(process.env['SEED'] ?? Date.now() % 100_000)

describe(`64 claimers in 8 processes that are killed with SIGKILL (SEED=${seed})`, () => {
  it(
    `end each of ${REQUESTS} requests once, over ${KILLS} kills, and never hold one twice`,
    { timeout: 180_000 },
    async () => {
      const data_dir = temporaryDirectory()
      const summary = await claimUnderKills({
        data_dir,
        requests: REQUESTS,
        kills: KILLS,
        seed,
        timeout_ms: 150_000,
      })
      expect(summary.expired_after_ms[0]).toBeGreaterThanOrEqual(0)
      expect(summary.expired_after_ms[1]).toBeLessThanOrEqual(2_000)
      expect(summary.reclaimed_after_ms).toBeLessThanOrEqual(2_000)

      // The load was a load: everything was done, the tools were full, and the dead left leases behind.
      const kinds = ['complete', 'fail', 'give up', 'reject', 'release', 'beat', 'hold', 'refused late']
      expect(Object.keys(summary.words)).toEqual(expect.arrayContaining(kinds))
      expect(summary.peaks).toMatchObject({ narrow: MAX_PARALLEL.narrow, middle: MAX_PARALLEL.middle })
      expect(summary.orphaned).toBeGreaterThan(KILLS / 2)
    },
  )
})
