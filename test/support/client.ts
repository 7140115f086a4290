import { once } from 'node:events'
import { createConnection } from 'node:net'
import { Agent, type IncomingHttpHeaders, request as httpRequest } from 'node:http'
import type { Event } from '../../src/contract/event.ts'
import type { Page } from '../../src/contract/common.ts'

export type Method = 'GET' | 'POST' | 'PATCH'

export interface Sent {
  method: Method
  path: string
  body?: unknown
  headers?: Record<string, string>
}

export interface Reply {
  status: number
  headers: IncomingHttpHeaders
  text: string
}

/** The request was sent, or could not be, and no whole answer came: it may have taken effect or not. */
export class Unanswered extends Error {}

/** One connection that is kept open: its requests go one after the other. */
export interface Connection {
  send(request: Sent): Promise<Reply>
  get(path: string): Promise<Reply>
  post(path: string, body?: unknown, headers?: Record<string, string>): Promise<Reply>
  close(): void
}

export function connect(url: string): Connection {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const send = (sent: Sent) => sendThrough(agent, url, sent)
  return {
    send,
    get: (path) => send({ method: 'GET', path }),
    post: (path, body, headers = {}) => send({ method: 'POST', path, body, headers }),
    close: () => agent.destroy(),
  }
}

function sendThrough(agent: Agent, url: string, { method, path, body, headers = {} }: Sent): Promise<Reply> {
  const text = body === undefined ? '' : JSON.stringify(body)
  const typed = body === undefined ? {} : { 'content-type': 'application/json' }
  const length = method === 'GET' ? {} : { 'content-length': Buffer.byteLength(text) }
  return new Promise<Reply>((resolve, reject) => {
    const unanswered = (error: Error) => reject(new Unanswered(`${method} ${path}: ${error.message}`))
    const options = { method, agent, headers: { ...typed, ...length, ...headers } }
    const request = httpRequest(url + path, options, (response) => {
      let answer = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => (answer += chunk))
      response.on('error', unanswered) // also an answer that breaks off
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text: answer }),
      )
    })
    request.on('error', unanswered)
    request.end(text)
  })
}

/** A socket on which a test writes what it likes, when it likes. */
export interface RawConnection {
  write(text: string): void
  /** The next whole answer. Fails if the server closes the connection before it. */
  answer(): Promise<Reply>
  /** Settles when the server has closed the connection. */
  closed: Promise<void>
  destroy(): void
}

export async function connectRaw(url: string): Promise<RawConnection> {
  const socket = createConnection({ host: '127.0.0.1', port: Number(new URL(url).port) })
  let received = ''
  let over = false
  let look = (): void => {}
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    received += chunk
    look()
  })
  socket.on('error', () => {}) // a reset is a close, too
  const closed = new Promise<void>((resolve) => {
    socket.once('close', () => {
      over = true
      look()
      resolve()
    })
  })
  await once(socket, 'connect')
  return {
    write: (text) => void socket.write(text),
    answer: () =>
      new Promise((resolve, reject) => {
        look = () => {
          const answer = wholeAnswer(received)
          if (answer === null) return over ? reject(new Unanswered(`closed after «${received}»`)) : undefined
          received = received.slice(answer.length)
          look = () => {}
          resolve(answer.reply)
        }
        look()
      }),
    closed,
    destroy: () => void socket.destroy(),
  }
}

/** The answer at the beginning of what was received; null while it is not complete. */
function wholeAnswer(received: string): { reply: Reply; length: number } | null {
  const end = received.indexOf('\r\n\r\n') + 4
  if (end === 3) return null
  const [first = '', ...fields] = received.slice(0, end - 4).split('\r\n')
  const headers = Object.fromEntries(
    fields.map((field) => [
      field.slice(0, field.indexOf(':')).toLowerCase(),
      field.slice(field.indexOf(':') + 1).trim(),
    ]),
  )
  const length = end + Number(headers['content-length'] ?? 0)
  if (received.length < length) return null
  const text = Buffer.from(received.slice(end, length), 'latin1').toString()
  return { reply: { status: Number(first.split(' ')[1]), headers, text }, length }
}

/** The text of a request; `length` of its body may be more than what is there yet. */
export function rawRequest(
  method: Method,
  path: string,
  body = '',
  length = Buffer.byteLength(body),
): string {
  const typed = method === 'GET' ? '' : `Content-Type: application/json\r\nContent-Length: ${length}\r\n`
  return `${method} ${path} HTTP/1.1\r\nHost: localhost\r\n${typed}\r\n${body}`
}

/** What a 2xx answer says. @throws Error for any other answer, with its text */
export function bodyOf<T>({ status, text }: Reply): T {
  if (status < 200 || status > 299) throw new Error(`answered ${status}: ${text}`)
  return JSON.parse(text) as T // tests compare it with what they expect
}

/** All items of a list, page by page. Bounded: a list that never ends fails. */
export async function readAll<T>(
  connection: Connection,
  path: string,
  { pages = 10_000 } = {},
): Promise<T[]> {
  const items: T[] = []
  let cursor: string | null = null
  for (let page = 0; page < pages; page++) {
    const query: string = cursor === null ? '' : `${path.includes('?') ? '&' : '?'}cursor=${cursor}`
    const { items: more, next_cursor }: Page<T> = bodyOf(await connection.get(path + query))
    items.push(...more)
    if (next_cursor === null) return items
    cursor = next_cursor
  }
  throw new Error(`${path} has more than ${pages} pages`)
}

/** Every event there is, in the one order. */
export const readEvents = (connection: Connection): Promise<Event[]> =>
  readAll<Event>(connection, '/v1/events?limit=500')

/** So many connections for as long as the work takes. */
export async function onConnections<T>(
  { url }: { url: string },
  count: number,
  work: (lanes: Connection[]) => Promise<T>,
): Promise<T> {
  const lanes = Array.from({ length: count }, () => connect(url))
  try {
    return await work(lanes)
  } finally {
    for (const lane of lanes) lane.close()
  }
}

/** Does as many things at once as there are lanes; each lane takes the next as soon as it is free. */
export async function inLanes<L, T>(
  lanes: readonly L[],
  things: readonly T[],
  work: (lane: L, thing: T) => Promise<void>,
): Promise<void> {
  let next = 0
  await Promise.all(
    lanes.map(async (lane) => {
      while (next < things.length) await work(lane, things[next++]!)
    }),
  )
}

/** A random sequence that a seed repeats: mulberry32. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
