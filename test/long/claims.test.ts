import { afterEach, describe, expect, it } from 'vitest'
import { claimUnderKills } from '../process/claim-scenario.ts'
import { cleanUp, temporaryDirectory } from '../support/process.ts'

afterEach(cleanUp)

const seed = Number(process.env['SEED'] ?? Date.now() % 100_000)
const MINUTE_MS = 60_000
const REQUESTS = 10_000
const KILLS = 60

describe(`64 claimers in 8 processes that are killed with SIGKILL (SEED=${seed})`, () => {
  it(`end each of ${REQUESTS} requests once, over ${KILLS} kills`, async () => {
    const data_dir = temporaryDirectory()
    const summary = await claimUnderKills({
      data_dir,
      requests: REQUESTS,
      kills: KILLS,
      seed,
      timeout_ms: 8 * MINUTE_MS,
    })
    expect(summary.expired_after_ms[0]).toBeGreaterThanOrEqual(0)
    expect(summary.expired_after_ms[1]).toBeLessThanOrEqual(2_000)
    expect(summary.reclaimed_after_ms).toBeLessThanOrEqual(2_000)
    expect(summary.orphaned).toBeGreaterThan(KILLS)
    expect(summary.words['refused late']).toBeGreaterThan(0)
  })
})
