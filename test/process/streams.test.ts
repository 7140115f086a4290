import { afterEach, describe, expect, it, vi } from 'vitest'
import { cleanUp, temporaryDirectory } from '../support/process.ts'
import { readersThatNeverRead } from './slow-readers.ts'
import { reconnectAgainAndAgain } from './stream-scenario.ts'
import { stopWithOpen } from './stream-stop.ts'

// Starting processes takes long where the machine is busy; whatever is waited for has its own bound.
vi.setConfig({ testTimeout: 120_000 })

afterEach(cleanUp)

const seed = Number(process.env['SEED'] ?? Date.now() % 100_000)

describe(`readers that come and go at random (SEED=${seed})`, () => {
  it('miss nothing and get nothing twice, over two restarts of the server', async () => {
    const data_dir = temporaryDirectory()
    const summary = await reconnectAgainAndAgain({ data_dir, reconnects: 150, restarts: 2, seed })
    expect(summary.with_news).toBeGreaterThan(0)
    expect(summary.without).toBeGreaterThan(0)
    expect(summary.ended).toBeGreaterThanOrEqual(2)
  })
})

describe('readers that never read', () => {
  it('are cut off, cost the server their bound and no more, and the others nothing', async () => {
    await readersThatNeverRead({ data_dir: temporaryDirectory(), readers: 60, silent: 6 })
  })
})

describe('SIGTERM with open streams and waiting claims', () => {
  it('ends the process with 0, and each of them in good order', async () => {
    await stopWithOpen({ data_dir: temporaryDirectory(), streams: 100, claims: 20 })
  })
})
