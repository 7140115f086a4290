import { beforeEach, describe, expect, it } from 'vitest'
import type { ExecutionRequest } from '../../../src/contract/execution-request.ts'
import { type Desk, openDesk } from '../../support/dispatch.ts'
import { after } from '../../support/given.ts'
import { openMemoryStore } from '../../support/store.ts'

let desk: Desk
beforeEach(async () => {
  desk = await openDesk(openMemoryStore().store)
})

/** What is found, as it is read: the code, and the same in a sentence. */
const findingsOf = async (request: ExecutionRequest): Promise<string[][]> =>
  (await desk.diagnosis(request)).findings.map(({ code, detail }) => [code, detail])

const NOBODY = ['no_worker', 'No worker asks for the tool aider now. Start one that names it.']

describe('a tool for which nobody asks', () => {
  it('is what the request waits for', async () => {
    expect(await findingsOf(await desk.request())).toEqual([NOBODY])
  })

  it('may have had a worker that has gone on to others', async () => {
    const request = await desk.request()
    await desk.release(await desk.claimOne())
    await desk.claim({ tools: ['pytest'] })
    expect(await findingsOf(request)).toEqual([NOBODY])
  })
})

describe('a request that was rejected', () => {
  const ALL_REJECTED = [
    'no_worker',
    'Every worker that asks for the tool aider has rejected this request. Start another that names it.',
  ]
  let request: ExecutionRequest
  beforeEach(async () => {
    request = await desk.request()
    await desk.reject(await desk.claimOne({ worker_id: 'w1' }))
  })

  it('waits for another worker where all that ask for its tool have rejected it', async () => {
    expect(await findingsOf(request)).toEqual([ALL_REJECTED])
    await desk.reject(await desk.claimOne({ worker_id: 'w2' }))
    expect(await findingsOf(request)).toEqual([ALL_REJECTED])
  })

  it('is expected by a worker that has not, whoever was seen last', async () => {
    await desk.claim({ worker_id: 'w2', projects: [] }) // it asks, and is given none
    desk.pass(10_000)
    await desk.claim({ worker_id: 'w1' })
    const told = expect.stringMatching(/^w2, which asks for the tool aider, was last seen at /)
    expect(await findingsOf(request)).toEqual([['worker_expected', told]])
  })

  it('concerns nobody where its worker asks for others only', async () => {
    await desk.claim({ worker_id: 'w1', tools: ['pytest'] })
    expect(await findingsOf(request)).toEqual([NOBODY])
  })
})

describe('what comes before a request in the queue', () => {
  const EXPECTED = [['worker_expected', expect.stringMatching(/^w1, /)]]

  it('is counted', async () => {
    await desk.claim()
    await desk.request()
    await desk.request({ classification: { priority: 'low' } })
    const request = await desk.request()
    expect(await findingsOf(request)).toEqual([
      ['behind_others', '1 request(s) of the same tool come first.'],
    ])
  })

  it('is not what may be claimed later only', async () => {
    await desk.request()
    const { available_at } = await desk.fail(await desk.claimOne())
    const request = await desk.request()
    expect(available_at).toBe(after(desk.now, 500))
    expect(await findingsOf(request)).toEqual(EXPECTED)
    desk.pass(500)
    expect(await findingsOf(request)).toMatchObject([['behind_others', expect.anything()]])
  })

  it('is not what has waited too long', async () => {
    await desk.claim()
    await desk.request({ limits: { queue_timeout_seconds: 30 } })
    const request = await desk.request()
    desk.pass(29_999)
    expect(await findingsOf(request)).toMatchObject([['behind_others', expect.anything()]])
    desk.pass(1)
    expect(await findingsOf(request)).toEqual(EXPECTED)
  })
})
