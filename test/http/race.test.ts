import { once } from 'node:events'
import type { Socket } from 'node:net'
import { text as textOf } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Json, type TestApp, connected, openTestApp } from '../support/http.ts'
import { type Client, clientOf } from './client.ts'

const CONNECTIONS = 100

let app: TestApp
let client: Client

beforeAll(async () => {
  app = await openTestApp()
  client = clientOf(app)
})

afterAll(() => app.close())

/** The same request on connections that are all open before the first of them sends. */
async function allAtOnce(path: string, body: object): Promise<{ status: number; body: Json }[]> {
  const text = JSON.stringify(body)
  const bytes =
    `POST ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n` +
    `Content-Type: application/json\r\nContent-Length: ${text.length}\r\n\r\n${text}`
  const sockets: Socket[] = await Promise.all(Array.from({ length: CONNECTIONS }, () => connected(app.port)))
  const answers = sockets.map(textOf)
  for (const socket of sockets) socket.write(bytes)
  await Promise.all(sockets.map((socket) => once(socket, 'close')))
  return (await Promise.all(answers)).map((answer) => ({
    status: Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1]),
    body: JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4)),
  }))
}

const countOf = (answers: { status: number }[], status: number) =>
  answers.filter((answer) => answer.status === status).length

describe('a hundred connections at once', () => {
  it('that complete the same run: one does, and the others learn that it is done', async () => {
    const { run_id } = await client.aRun('running')
    const answers = await allAtOnce(`/v1/runs/${run_id}/complete`, { status: 'succeeded' })
    expect([countOf(answers, 200), countOf(answers, 409)]).toEqual([1, 99])
    for (const { status, body } of answers) {
      if (status === 409) expect(body).toMatchObject({ code: 'transition_refused', state: 'succeeded' })
    }
    const { body } = await client.get(`/v1/runs/${run_id}/events?kind=run_completed`)
    expect(body.items).toHaveLength(1)
    const run = (await client.get(`/v1/runs/${run_id}`)).body
    expect(run).toEqual(answers.find(({ status }) => status === 200)!.body)
    expect((await client.get(`/v1/runs/${run_id}/events/verify`)).body.valid).toBe(true)
  })

  it('that retry the same attempt make one new attempt', async () => {
    const step = await client.aStep('failed')
    const answers = await allAtOnce(`/v1/steps/${step.step_attempt_id}/retry`, {})
    expect([countOf(answers, 201), countOf(answers, 409)]).toEqual([1, 99])
    expect((await client.get(`/v1/runs/${step.run_id}/steps`)).body.items).toHaveLength(2)
  })

  it('that add attempts to one run get a hundred places', async () => {
    const { run_id } = await client.aRun('running')
    const answers = await allAtOnce(`/v1/runs/${run_id}/steps`, { tool_id: 'pytest' })
    expect(countOf(answers, 201)).toBe(CONNECTIONS)
    const places = answers.map(({ body }) => body.sequence).sort((a, b) => a - b)
    expect(places).toEqual(Array.from({ length: CONNECTIONS }, (_, i) => i + 1))
    const run = (await client.get(`/v1/runs/${run_id}`)).body
    expect(run).toMatchObject({ version: 2 + CONNECTIONS, counters: { step_attempts: CONNECTIONS } })
  })
})
