import { join } from 'node:path'
import { beforeEach, describe, expect, it } from 'vitest'
import {
  CONFIG,
  LOADED,
  MAX_PARALLEL,
  type Step,
  delaysOf,
  eventsUntilAllEnded,
  expectRowsAsTold,
  submitAll,
} from '../process/claim-ledger.ts'
import { type Word, work } from '../process/claimer.ts'
import { onConnections, randomFrom } from '../support/client.ts'
import { type TestApp, openTestApp } from '../support/http.ts'
import { foldLeases } from '../support/leases.ts'
import { activate } from '../support/router.ts'
import { tempDir } from '../support/store.ts'
import { type Workshop, workshopOf } from './dispatch-client.ts'

const HOUR_MS = 3_600_000
const REQUESTS = 400
const CLAIMERS = 16
const seed = Number(process.env['SEED'] ?? Date.now() % 100_000)

let app: TestApp
/** How far the wall has jumped, in all. */
let jumped: number
/** What the jumps made of the clock. */
let steps: Step[]
beforeEach(async () => {
  jumped = 0
  steps = []
  app = await openTestApp({ file: join(tempDir(), 'signalbox.db'), wall: () => Date.now() + jumped })
  app.startAlarm()
  return () => {
    app.drain()
    return app.close()
  }
})

function jump(ms: number): void {
  const before = app.clock()
  jumped += ms
  const after = app.clock()
  if (after.ms - before.ms > HOUR_MS / 2) steps.push({ from: before.text, to: after.text })
}

/** Eight jumps forward and four back, so that four at least take the clock where it has not been. */
function jumpsIn(random: () => number): number[] {
  const jumps = Array.from({ length: 12 }, (_, i) => ({ ms: i < 8 ? HOUR_MS : -HOUR_MS, order: random() }))
  return jumps.sort((a, b) => a.order - b.order).map(({ ms }) => ms)
}

describe(`${CLAIMERS} claimers, while the wall jumps an hour forward and back (SEED=${seed})`, () => {
  it(`end each of ${REQUESTS} requests once, and never hold one twice`, { timeout: 90_000 }, async () => {
    await activate(app, CONFIG)
    const url = `http://127.0.0.1:${app.port}`
    const random = randomFrom(seed)
    const words: Word[] = []
    const jumps = jumpsIn(random)
    const moments = jumps.map((_, i) => ((i + random()) * 0.9 * REQUESTS) / jumps.length)
    let done = 0
    const say = (word: Word): void => {
      words.push(word)
      if (word.did !== 'complete' || !(++done >= moments[0]!)) return
      moments.shift()
      jump(jumps.shift()!)
    }
    let isDone = false
    const claimers = Array.from({ length: CLAIMERS }, (_, i) =>
      work({
        url,
        worker_id: `w${i}`,
        tools: LOADED,
        random: randomFrom(seed + i),
        say,
        now: () => app.clock().ms,
        isDone: () => isDone,
      }),
    )
    const working = Promise.all(claimers)
    await onConnections({ url }, CLAIMERS, async (lanes) => {
      await Promise.race([submitAll(lanes, REQUESTS, random), working])
      const ending = eventsUntilAllEnded(lanes[0]!, REQUESTS, 80_000)
      await Promise.race([ending, working])
      isDone = true
      app.drain() // who waits for work goes home
      app.drain(false)
      await working

      const events = await ending
      const told = foldLeases(events, MAX_PARALLEL)
      expect(told.requests.size).toBe(REQUESTS)
      await expectRowsAsTold(lanes, events, told)
      for (const { lease, delay_ms } of delaysOf(told, words, steps)) {
        expect(delay_ms >= 0 && delay_ms <= 2_000, `${JSON.stringify(lease)} after ${delay_ms} ms`).toBe(true)
      }
    })
    expect([jumps, moments]).toEqual([[], []])
    expect(steps.length).toBeGreaterThanOrEqual(4)
    const lost = words.filter((word) => word.did === 'lose' || (word.did === 'answer late' && !word.accepted))
    expect(lost.length).toBeGreaterThan(steps.length)
  })
})

describe('a lease of an hour', () => {
  let shop: Workshop
  beforeEach(async () => {
    shop = await workshopOf(app)
  })
  const claimed = async (body: object) => {
    await shop.request({ limits: { timeout_seconds: 7_200 } })
    return shop.claimed({ lease_seconds: 3_600, ...body })
  }

  it('ends with a jump over its end: refused to its holder, and given to who waits for work', async () => {
    const held = await claimed({ worker_id: 'w1' })
    const { answer } = await shop.waiting('w2')
    jump(HOUR_MS)
    const { body } = await shop.heartbeat(held)
    expect(body).toEqual({ lease_expires_at: null, cancel_requested: false, lease_lost: true })
    const refused = await shop.end(held, 'complete')
    expect(refused).toMatchObject({ status: 409, body: { code: 'lease_lost' } })

    const [next] = (await answer).body.items
    expect(next.execution_request.request_id).toBe(held.execution_request.request_id)
  })

  it('goes on where the wall falls back, also after it was ahead', async () => {
    const held = await claimed({ worker_id: 'w1' })
    jump(-HOUR_MS)
    expect((await shop.heartbeat(held)).body.lease_lost).toBe(false)
    jump(HOUR_MS)
    jump(-HOUR_MS)
    expect(steps).toEqual([])
    expect((await shop.end(held, 'complete')).status).toBe(200)
  })
})

describe('a waiting claim', () => {
  it.each([HOUR_MS, -HOUR_MS])('waits as long as it said, whatever the wall does: %i ms', async (ms) => {
    const shop = await workshopOf(app)
    const begun = performance.now()
    const answer = shop.claim({}, { query: '?wait_seconds=1' })
    await shop.stands('w1')
    jump(ms)
    expect((await answer).status).toBe(204)
    expect(performance.now() - begun).toBeGreaterThan(990)
  })
})
