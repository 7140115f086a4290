import { afterEach, describe, expect, it } from 'vitest'
import { readersThatNeverRead } from '../process/slow-readers.ts'
import { reconnectAgainAndAgain } from '../process/stream-scenario.ts'
import { stopWithOpen } from '../process/stream-stop.ts'
import { cleanUp, temporaryDirectory } from '../support/process.ts'

afterEach(cleanUp)

const seed = Number(process.env['SEED'] ?? Date.now() % 100_000)
const RECONNECTS = 1_000

describe(`readers that come and go at random ${RECONNECTS} times under load (SEED=${seed})`, () => {
  it.each([0, 8])('miss nothing and get nothing twice, over %i restarts of the server', async (restarts) => {
    const data_dir = temporaryDirectory()
    const summary = await reconnectAgainAndAgain({ data_dir, reconnects: RECONNECTS, restarts, seed })
    expect(summary.with_news).toBeGreaterThan(0)
    expect(summary.without).toBeGreaterThan(0)
    expect(summary.ended).toBeGreaterThanOrEqual(restarts)
  })
})

describe('1 000 readers of whom 100 never read', () => {
  it('cost the server the bounds of those and no more; the others get everything', async () => {
    const summary = await readersThatNeverRead({
      data_dir: temporaryDirectory(),
      readers: 1_000,
      silent: 100,
    })
    expect(summary.notes).toBeGreaterThan(4)
  })
})

describe('SIGTERM with 1 000 open streams and 100 waiting claims', () => {
  it('ends the process with 0 within 2 s, and each of them in good order', async () => {
    const took_ms = await stopWithOpen({ data_dir: temporaryDirectory(), streams: 1_000, claims: 100 })
    expect(took_ms).toBeLessThanOrEqual(2_000)
  })
})
