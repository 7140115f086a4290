import { readdirSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type ServerProcess, cleanUp } from '../support/process.ts'
import { endProxies, through } from './proxy.ts'
import {
  type WorkerProcess,
  endWorkers,
  js,
  launchWorker,
  post,
  read,
  startToolServer,
  startWorker,
  submit,
} from './worker-process.ts'

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

let server: ServerProcess

beforeEach(async () => {
  server = await startToolServer(['quick'])
})
afterEach(async () => {
  await endWorkers()
  endProxies()
  await cleanUp()
})

const TOOLS = { quick: { argv: js('') } }

describe('an answer that does not arrive', () => {
  it.each(['/claim', '/complete'])(
    'of %s is asked for again, and nothing is done twice',
    async (operation) => {
      const lost: string[] = []
      const broken = await through(server, (path, body) => {
        const isOfIt = path.split('?')[0]!.endsWith(operation)
        if (!isOfIt || body === '' || lost.includes(path)) return body
        lost.push(path)
        return null
      })
      const requests = [
        await submit(server, 'quick'),
        await submit(server, 'quick'),
        await submit(server, 'quick'),
      ]
      const worker = await startWorker(broken, { tools: TOOLS, flags: ['--until-idle'] })
      expect(await worker.exit()).toEqual({ code: 0, signal: null })
      expect(lost.length).toBeGreaterThan(0)
      for (const request of requests) {
        expect(await read(server, request)).toMatchObject({ state: 'succeeded', attempts: 1, fence: 1 })
      }
      expect(worker.lines.filter(({ msg }) => msg === 'started')).toHaveLength(3)
    },
  )

  it.each([
    ['/claim', 1],
    ['/complete', 2],
  ])('of %s whose work is done by others meanwhile has nothing carried out', async (operation, count) => {
    let stolen: string | null = null
    const broken = await through(server, async (path, body) => {
      if (!path.split('?')[0]!.endsWith(operation) || body === '' || stolen !== null) return body
      const { items, next } = JSON.parse(body)
      const { lease_token, execution_request } = operation === '/claim' ? items[0] : next
      stolen = execution_request.request_id as string
      await post(server, `/v1/execution-requests/${stolen}/complete`, { lease_token })
      return null
    })
    for (let i = 0; i < count; i++) await submit(server, 'quick')
    const worker = await startWorker(broken, { tools: TOOLS, flags: ['--until-idle'] })
    expect(await worker.exit()).toEqual({ code: 0, signal: null })
    expect(stolen).not.toBeNull()
    expect(worker.lines.filter(({ msg }) => msg === 'started')).toHaveLength(count - 1)
  })

  it('before the worker is told to stop has its next request given back', async () => {
    const slow = await through(server, async (path, body) => {
      if (!path.includes('/complete') || body === '') return body
      worker.signal('SIGTERM')
      await worker.said('stopping')
      return body
    })
    await submit(server, 'quick')
    const next = await submit(server, 'quick')
    const worker = await startWorker(slow, { tools: TOOLS })
    expect(await worker.exit()).toEqual({ code: 0, signal: null })
    expect(await read(server, next)).toMatchObject({ state: 'queued', attempts: 0, fence: 1 })
  })

  it('of a claim that is broken off by the end of the worker has its work given back', async () => {
    const request = await submit(server, 'quick')
    const slow = await through(server, async (path, body) => {
      if (!path.endsWith('/claim') || body === '' || worker.lines.some(({ msg }) => msg === 'stopping'))
        return body
      worker.signal('SIGTERM')
      await worker.said('stopping')
      return null
    })
    const worker = launchWorker(slow.url, { tools: TOOLS })
    expect(await worker.exit()).toEqual({ code: 0, signal: null })
    expect(await read(server, request)).toMatchObject({ state: 'queued', attempts: 0, fence: 1 })
  })
})

describe('a worker that is told to stop', () => {
  const stopAndWait = async (signal: NodeJS.Signals = 'SIGTERM') => {
    worker.signal(signal)
    await worker.said('stopping')
  }
  let worker: WorkerProcess

  it.each([
    ['/claim', 1],
    ['/complete', 2],
  ])('while it looks at a repeated answer of %s starts nothing of it', async (operation, count) => {
    let isLost = false
    const slow = await through(server, async (path, body) => {
      if (path.endsWith('/heartbeat')) await stopAndWait()
      if (!path.split('?')[0]!.endsWith(operation) || body === '' || isLost) return body
      isLost = true
      return null
    })
    const requests = []
    for (let i = 0; i < count; i++) requests.push(await submit(server, 'quick'))
    worker = launchWorker(slow.url, { tools: TOOLS, flags: ['--lease-seconds', '30'] })
    expect(await worker.exit()).toEqual({ code: 0, signal: null })
    expect(worker.lines.filter(({ msg }) => msg === 'started')).toHaveLength(count - 1)
    expect(await read(server, requests.at(-1)!)).toMatchObject({ state: 'queued', attempts: 0, fence: 1 })
  })

  it('twice does not wait for the answer of a report', async () => {
    const silent = await through(server, (path, body) =>
      path.includes('/complete') ? new Promise<never>(() => {}) : body,
    )
    await submit(server, 'quick')
    worker = await startWorker(silent, { tools: TOOLS })
    await worker.said('ended')
    await stopAndWait()
    const since = performance.now()
    worker.signal('SIGINT')
    expect(await worker.exit()).toEqual({ code: 0, signal: null })
    expect(performance.now() - since).toBeLessThan(8_000) // an answer is waited for 15 s
  })
})

describe('a server that means harm', () => {
  it('names no file outside the data directory', async () => {
    const evil = await through(server, (path, body) =>
      path.endsWith('/claim') && body !== ''
        ? body.replace(
            /"step_attempt":\{"step_attempt_id":"[^"]+"/,
            '"step_attempt":{"step_attempt_id":"../../evil"',
          )
        : body,
    )
    await submit(server, 'quick')
    const worker = await startWorker(evil, { tools: TOOLS })
    expect(await worker.exit()).toEqual({ code: 1, signal: null })
    expect(readdirSync(worker.data_dir)).toEqual([])
  })

  it('has no program executed that the tools file does not name', async () => {
    const evil = await through(server, (path, body) =>
      path.endsWith('/claim') && body !== ''
        ? body
            .replaceAll('"tool_id":"quick"', '"tool_id":"touch"')
            .replaceAll('"command":"quick"', '"command":"touch"')
        : body,
    )
    const request = await submit(server, 'quick')
    const worker = await startWorker(evil, { tools: TOOLS })
    await worker.said('rejected')
    await vi.waitFor(async () =>
      expect(await read(server, request)).toMatchObject({ rejected_by: ['tester'] }),
    )
    expect(worker.lines.some(({ msg }) => msg === 'started')).toBe(false)
  })
})
