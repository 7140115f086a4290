import { once } from 'node:events'
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, it } from 'vitest'
import { Refused, Unanswered, connect } from '../../src/client/connection.ts'
import { follow } from '../../src/client/follow.ts'

type Answering = (response: ServerResponse, request: IncomingMessage) => void

let close = (): void => {}
afterEach(() => close())

/** A server that answers each request as the next of these; the last one goes on for ever. */
async function serverThat(...answers: Answering[]) {
  const asked: (string | undefined)[] = []
  const server = createServer((request, response) => {
    asked.push(request.headers['last-event-id'] as string | undefined)
    answers[Math.min(asked.length, answers.length) - 1]!(response, request)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  close = () => {
    server.closeAllConnections()
    server.close()
  }
  const { port } = server.address() as AddressInfo
  const url = new URL(`http://127.0.0.1:${port}`)
  return { asked, url }
}

const HEADERS = { 'content-type': 'text/event-stream' }
const message = (id: number): string => `id: ${id}\ndata: ${id}\n\n`

/** Says these events, then breaks off. */
const breaking =
  (...ids: number[]): Answering =>
  (response) => {
    response.writeHead(200, HEADERS).write(ids.map(message).join('') || ': \n\n', () => response.destroy())
  }
/** Says these events, and then nothing any more. */
const silent =
  (...ids: number[]): Answering =>
  (response) =>
    void response.writeHead(200, HEADERS).write(ids.map(message).join(''))
const nothing: Answering = (response) => void response.writeHead(204).end()
const draining: Answering = (response) => void response.writeHead(503).end('{"code":"draining"}')
const refusing: Answering = (response) =>
  void response.writeHead(401).end('{"code":"unauthenticated","detail":"no","type":"/problems/x"}')

async function followed(url: URL, { silence_ms = 60_000 } = {}) {
  const said: string[] = []
  const ids: string[] = []
  const options = {
    path: '/v1/events/stream',
    after: 3,
    onLost: ({ message }: Unanswered) => said.push(`lost: ${message}`),
    onBack: () => said.push('back'),
  }
  for await (const { id } of follow(connect({ server: url, key: null, silence_ms }), options)) ids.push(id)
  return { ids, said }
}

it('goes on behind the last event that came whole, until there is nothing to come', async () => {
  const { url, asked } = await serverThat(breaking(4, 5), breaking(6), nothing)
  expect(await followed(url)).toEqual({ ids: ['4', '5', '6'], said: [] })
  expect(asked).toEqual(['3', '5', '6'])
})

it('says once that the connection is lost, and when it is there again', async () => {
  const { url, asked } = await serverThat(breaking(4), draining, draining, breaking(5), nothing)
  const { ids, said } = await followed(url)
  expect(ids).toEqual(['4', '5'])
  expect(said).toEqual(['lost: 503 draining', 'back'])
  expect(asked).toEqual(['3', '4', '4', '4', '5'])
})

it('gives up a connection on which nothing is heard', async () => {
  const { url } = await serverThat(silent(4), nothing)
  expect(await followed(url, { silence_ms: 50 })).toEqual({ ids: ['4'], said: [] })
})

it('fails where there never was a connection', async () => {
  const { url } = await serverThat(draining)
  await expect(followed(url)).rejects.toThrow(Unanswered)
})

it('fails where it is refused, also later', async () => {
  const { url } = await serverThat(breaking(4), refusing)
  await expect(followed(url)).rejects.toThrow(Refused)
})
