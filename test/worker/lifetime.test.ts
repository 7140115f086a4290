import { createServer } from 'node:net'
import { join } from 'node:path'
import { writeFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { LiveStepAttempt } from '../../src/contract/step-progress.ts'
import { aKey } from '../support/http.ts'
import { type ServerProcess, cleanUp, temporaryDirectory } from '../support/process.ts'
import {
  type ToolEntries,
  type WorkerProcess,
  attemptsOf,
  endWorkers,
  isGone,
  js,
  lineIn,
  post,
  read,
  startToolServer,
  startWorker,
  submit,
} from './worker-process.ts'

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

let notes: string
let server: ServerProcess
let worker: WorkerProcess

const note = (name: string) => join(notes, name)

/** `waits` ends with 0 once the file `go` is there, `hangs` never; both say their process. `mumbles` says no UTF-8. */
const toolsOf = (): ToolEntries => {
  const says = (name: string) =>
    `fs.writeFileSync(${JSON.stringify(note(name))}, process.pid + '\\n'); console.log('at work');`
  return {
    waits: {
      argv: js(
        `${says('waits')} setInterval(() => fs.existsSync(${JSON.stringify(note('go'))}) && process.exit(0), 10)`,
      ),
    },
    hangs: { argv: js(`${says('hangs')} setInterval(() => {}, 1e6)`) },
    deaf: { argv: js(`process.on('SIGTERM', () => {}); ${says('deaf')} setInterval(() => {}, 1e6)`) },
    mumbles: {
      argv: js(
        `process.stdout.write(Buffer.from([65, 255, 0])); ${says('mumbles')} setInterval(() => {}, 1e6)`,
      ),
    },
    quick: { argv: js('') },
  }
}

const go = () => writeFileSync(note('go'), '')
const start = (...flags: string[]) =>
  startWorker(server, { tools: toolsOf(), flags: ['--lease-seconds', '5', ...flags] })
const cancel = (request_id: string) => post(server, `/v1/execution-requests/${request_id}/cancel`)

beforeEach(async () => {
  notes = temporaryDirectory()
  server = await startToolServer(['waits', 'hangs', 'deaf', 'mumbles', 'quick'])
})
afterEach(async () => {
  await endWorkers()
  await cleanUp()
})

describe('while a program runs', () => {
  it('keeps the lease by heartbeats, though the program prints nothing', async () => {
    worker = await start()
    const request = await submit(server, 'waits')
    await lineIn(note('waits'))
    const { lease_expires_at } = await leaseEnd(request.request_id)
    await vi.waitUntil(() => Date.now() > Date.parse(lease_expires_at) + 500, { timeout: 10_000 })
    go()
    await worker.said('reported')
    expect(await read(server, request)).toMatchObject({ state: 'succeeded', attempts: 1, fence: 1 })
  })

  it('tells the end of what it has printed so far with its heartbeats, as text whatever the bytes', async () => {
    worker = await start()
    const request = await submit(server, 'mumbles')
    const attempt = await vi.waitFor(
      async () => {
        const [step] = await attemptsOf(server, request)
        const attempt = await getLive(step!.step_attempt_id)
        expect(attempt.output).not.toBeNull()
        return attempt
      },
      { timeout: 15_000, interval: 50 },
    )
    expect(attempt).toMatchObject({ state: 'running', output: 'A\uFFFD\uFFFDat work\n', progress: null })
    await cancel(request.request_id)
    await worker.said('reported', { error_class: 'canceled' })
    expect(await getLive(attempt.step_attempt_id)).toMatchObject({
      output: null,
      stdout_tail: 'A\uFFFD\uFFFDat work\n',
    })
  })

  it('ends it when it is canceled, and says so with what it had printed', async () => {
    worker = await start()
    const request = await submit(server, 'hangs')
    const pid = Number(await lineIn(note('hangs')))
    await cancel(request.request_id)
    await worker.said('reported', { error_class: 'canceled' })
    expect(isGone(pid)).toBe(true)
    expect(await read(server, request)).toMatchObject({ state: 'canceled' })
    const [attempt] = await attemptsOf(server, request)
    expect(attempt).toMatchObject({ state: 'canceled', signal: 'SIGTERM', stdout_tail: 'at work\n' })
  })

  it('kills it when it is canceled and ignores SIGTERM', async () => {
    worker = await start()
    const request = await submit(server, 'deaf')
    const pid = Number(await lineIn(note('deaf')))
    await cancel(request.request_id)
    await worker.said('reported', { error_class: 'canceled' })
    expect(isGone(pid)).toBe(true)
    expect((await attemptsOf(server, request))[0]).toMatchObject({ state: 'canceled', signal: 'SIGKILL' })
  })

  it('ends it and reports nothing when the lease is lost', async () => {
    worker = await start()
    const request = await submit(server, 'hangs', { limits: { total_timeout_seconds: 2 } })
    const pid = Number(await lineIn(note('hangs')))
    const ended = await worker.said('ended')
    expect(ended).toMatchObject({ cause: 'lost' })
    expect(isGone(pid)).toBe(true)
    expect(worker.lines.some(({ msg }) => msg === 'reported')).toBe(false)
    expect(await read(server, request)).toMatchObject({ state: 'failed' })
  })

  it('goes on while the server is away, and reports when it is back', async () => {
    worker = await start('--lease-seconds', '30')
    const request = await submit(server, 'waits')
    await lineIn(note('waits'))
    await server.kill()
    go()
    await worker.said('the report was not answered')
    server = await server.restart('--port', String(server.port))
    await worker.said('reported', { call: 'complete' })
    expect(await read(server, request)).toMatchObject({ state: 'succeeded', attempts: 1, fence: 1 })
    const next = await submit(server, 'quick')
    await worker.said('reported', { execution_request_id: next.request_id })
  })

  it('gives up when the server is away for longer than the lease', async () => {
    worker = await start()
    await submit(server, 'hangs')
    const pid = Number(await lineIn(note('hangs')))
    await server.kill()
    await worker.said('lost the lease')
    expect(await worker.said('ended')).toMatchObject({ cause: 'lost' })
    expect(isGone(pid)).toBe(true)
  })
})

describe('a worker that is told to stop', () => {
  it.each(['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP'] as const)(
    '%s: finishes what runs, claims no more, ends with 0',
    async (signal) => {
      worker = await start()
      const request = await submit(server, 'waits')
      await lineIn(note('waits'))
      const next = await submit(server, 'quick')
      worker.signal(signal)
      await worker.said('stopping')
      go()
      expect(await worker.exit()).toEqual({ code: 0, signal: null })
      expect(await read(server, request)).toMatchObject({ state: 'succeeded' })
      expect(await read(server, next)).toMatchObject({ state: 'queued', fence: 0 })
    },
  )

  it('gives back what does not finish in time, and leaves no process', async () => {
    worker = await start('--grace-seconds', '1')
    const request = await submit(server, 'hangs')
    const pid = Number(await lineIn(note('hangs')))
    worker.signal('SIGTERM')
    expect(await worker.exit()).toEqual({ code: 0, signal: null })
    expect(isGone(pid)).toBe(true)
    expect(await read(server, request)).toMatchObject({ state: 'queued', attempts: 0 })
    expect((await attemptsOf(server, request))[0]).toMatchObject({
      state: 'canceled',
      state_reason: 'released: the worker stops',
    })
  })

  it('ends at once when it is told twice', async () => {
    worker = await start('--grace-seconds', '600')
    const request = await submit(server, 'deaf')
    const pid = Number(await lineIn(note('deaf')))
    worker.signal('SIGTERM')
    await worker.said('stopping')
    const since = performance.now()
    worker.signal('SIGTERM')
    expect(await worker.exit()).toEqual({ code: 0, signal: null })
    expect(performance.now() - since).toBeLessThan(4_000) // SIGTERM alone would take 5 s
    expect(isGone(pid)).toBe(true)
    expect(await read(server, request)).toMatchObject({ state: 'queued', attempts: 0 })
  })

  it('ends at once while it waits for work', async () => {
    worker = await start()
    worker.signal('SIGTERM')
    expect(await worker.exit()).toEqual({ code: 0, signal: null })
  })

  it('ends also while the server is away', async () => {
    worker = await start()
    await server.kill()
    await worker.said('the claim was not answered')
    worker.signal('SIGTERM')
    expect(await worker.exit()).toEqual({ code: 0, signal: null })
  })
})

describe('claims', () => {
  it('run as many programs at once as there are slots', async () => {
    for (let i = 0; i < 3; i++) await submit(server, 'waits')
    worker = await start('--concurrency', '2')
    await vi.waitUntil(() => worker.lines.filter(({ msg }) => msg === 'started').length === 2, {
      timeout: 15_000,
    })
    expect(await states(server)).toEqual(['claimed', 'claimed', 'queued'])
    go()
    await vi.waitUntil(() => worker.lines.filter(({ msg }) => msg === 'reported').length === 3, {
      timeout: 15_000,
    })
    expect(await states(server)).toEqual(['succeeded', 'succeeded', 'succeeded'])
  })

  it('end with the work: --until-idle does all there is, then exits with 0', async () => {
    for (let i = 0; i < 20; i++) await submit(server, 'quick')
    worker = await start('--until-idle', '--concurrency', '3')
    expect(await worker.exit()).toEqual({ code: 0, signal: null })
    expect(new Set(await states(server))).toEqual(new Set(['succeeded']))
    expect(worker.lines.filter(({ msg }) => msg === 'reported')).toHaveLength(20)
  })

  it('come with the report while there is work: one call for each request', async () => {
    const requests = []
    for (let i = 0; i < 5; i++) requests.push((await submit(server, 'quick')).request_id)
    worker = await start('--until-idle')
    await worker.exit()
    const reported = worker.lines.filter(({ msg }) => msg === 'reported')
    expect(reported.map(({ next }) => next)).toEqual([...requests.slice(1), null])
  })

  it('are refused by a server that is none', async () => {
    const silent = createServer((socket) => socket.end('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n'))
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    const { port } = silent.address() as { port: number }
    worker = await startWorker({ ...server, url: `http://127.0.0.1:${port}` }, { tools: toolsOf() })
    expect(await worker.exit()).toEqual({ code: 1, signal: null })
    silent.close()
  })
})

describe('a server that needs keys', () => {
  const keyFile = (key: string): string => {
    writeFileSync(note('key'), `${key}\n`)
    return note('key')
  }

  it('gives work to the key of a file, and to no other', async () => {
    const { key, entry } = aKey('worker')
    const locked = await startToolServer(['quick'], { SIGNALBOX_API_KEYS: JSON.stringify([entry]) })
    const startWith = (text: string) =>
      startWorker(locked, { tools: toolsOf(), flags: ['--until-idle', '--key-file', keyFile(text)] })
    expect(await (await startWith(key)).exit()).toEqual({ code: 0, signal: null })
    const refused = await startWith(aKey('worker').key)
    expect(await refused.exit()).toEqual({ code: 78, signal: null })
    expect(JSON.stringify(refused.lines)).not.toContain('sbx_')
  })
})

async function leaseEnd(request_id: string): Promise<{ lease_expires_at: string }> {
  const { updated_at } = await read(server, { request_id } as never)
  return { lease_expires_at: new Date(Date.parse(updated_at) + 5_000).toISOString() }
}

/** An attempt, and what the worker says of it. */
async function getLive(step_attempt_id: string): Promise<LiveStepAttempt> {
  const response = await fetch(`${server.url}/v1/steps/${step_attempt_id}`)
  return (await response.json()) as LiveStepAttempt
}

async function states(from: ServerProcess): Promise<string[]> {
  const response = await fetch(`${from.url}/v1/execution-requests?order=asc`)
  const { items } = (await response.json()) as { items: { state: string }[] }
  return items.map(({ state }) => state)
}
