import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { schemaChecker } from '../support/document.ts'
import { type Json, type TestApp, connected, exchangeBytes, openTestApp } from '../support/http.ts'

// What Node answers, or would answer, before Fastify sees a request: each refusal is a problem like all others.

let app: TestApp

beforeAll(async () => {
  app = await openTestApp()
})

afterAll(() => app.close())

interface RawAnswer {
  version: string
  status: number
  headers: Record<string, string>
  text: string
}

/** The answers on a connection, one behind the other. */
function answersIn(bytes: string): RawAnswer[] {
  const answers: RawAnswer[] = []
  let rest = bytes
  while (rest !== '') {
    const end = rest.indexOf('\r\n\r\n')
    const [line = '', ...fields] = rest.slice(0, end).split('\r\n')
    const headers = Object.fromEntries(
      fields.map((field) => {
        const colon = field.indexOf(':')
        return [field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim()]
      }),
    ) as Record<string, string>
    const [, version = '', status = ''] = /^HTTP\/(\d\.\d) (\d{3})/.exec(line) ?? []
    const body = Buffer.from(rest.slice(end + 4))
    const length = headers['content-length'] === undefined ? body.length : Number(headers['content-length'])
    const text = body.subarray(0, length).toString()
    answers.push({ version, status: Number(status), headers, text: dechunked(headers, text) })
    rest = body.subarray(length).toString()
  }
  return answers
}

/** Only what comes in one chunk, at the end of a connection. */
const dechunked = (headers: Record<string, string>, text: string): string =>
  headers['transfer-encoding'] === 'chunked' ? text.split('\r\n')[1]! : text

const ask = async (...parts: (string | Buffer)[]) => answersIn(await exchangeBytes(app.port, ...parts))

const request = (line: string, ...headers: string[]) => `${[line, ...headers].join('\r\n')}\r\n\r\n`
const closing = ['Host: localhost', 'Connection: close']

function problemIn({ status, headers, text }: RawAnswer): Json {
  expect(headers['content-type']).toBe('application/problem+json; charset=utf-8')
  const problem: Json = JSON.parse(text)
  schemaChecker(app.document)({ $ref: '#/components/schemas/Problem' }, problem)
  expect(problem).toMatchObject({ status, http_request_id: headers['x-request-id'] })
  return problem
}

async function refusal(...parts: (string | Buffer)[]) {
  const before = app.writes()
  const [answer, ...more] = await ask(...parts)
  expect(more).toEqual([])
  expect(app.writes()).toBe(before)
  return { status: answer!.status, code: problemIn(answer!).code }
}

const MALFORMED = { status: 400, code: 'malformed_request' }
const body = '{"project_id":"p","phase_id":"b"}'
const json = ['Content-Type: application/json', `Content-Length: ${body.length}`]

describe('the Host header', () => {
  it.each([
    ['is missing', ['Connection: close']],
    ['comes twice', ['Host: localhost', 'Host: localhost', 'Connection: close']],
    ['comes twice and differs', ['Host: localhost', 'Host: rebound.example', 'Connection: close']],
    ['comes twice in other letters', ['HOST: localhost', 'hOst: localhost', 'Connection: close']],
  ])('that %s is malformed_request', async (_name, headers) => {
    expect(await refusal(request('GET /v1/runs HTTP/1.1', ...headers))).toEqual(MALFORMED)
    expect(await refusal(request('POST /v1/runs HTTP/1.1', ...headers, ...json), body)).toEqual(MALFORMED)
    expect(await refusal(request('GET /v1/nothing HTTP/1.1', ...headers))).toEqual(MALFORMED)
  })

  it('that is empty names nobody', async () => {
    const empty = request('GET /v1/runs HTTP/1.1', 'Host:', 'Connection: close')
    expect(await refusal(empty)).toEqual({ status: 421, code: 'misdirected_request' })
  })
})

describe('what is not HTTP/1.1', () => {
  it.each([
    ['a word', 'GARBAGE\r\n\r\n'],
    ['another version', request('GET /livez HTTP/9.9', ...closing)],
    ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['TLS', Buffer.from('160301020001000000', 'hex')],
    ['a method that nobody knows', request('FROBNICATE /livez HTTP/1.1', ...closing)],
    ['a path with a space', request('GET /live z HTTP/1.1', ...closing)],
    ['a path with a NUL', request('GET /live\0z HTTP/1.1', ...closing)],
    ['a path beyond ASCII', request('GET /lïvez HTTP/1.1', ...closing)],
    ['a header without a colon', request('GET /livez HTTP/1.1', ...closing, 'nonsense')],
    ['a header with a space before the colon', request('GET /livez HTTP/1.1', ...closing, 'X : y')],
    ['a header with a NUL', request('GET /livez HTTP/1.1', ...closing, 'X: \0')],
    ['a header with a bare line feed', request('GET /livez HTTP/1.1', ...closing, 'X: a\nY: b')],
    ['two lengths', request('POST /v1/runs HTTP/1.1', ...closing, ...json, 'Content-Length: 1')],
    ['a negative length', request('POST /v1/runs HTTP/1.1', ...closing, 'Content-Length: -1')],
    ['a length that is no number', request('POST /v1/runs HTTP/1.1', ...closing, 'Content-Length: 0x10')],
    [
      'a length and chunks',
      request('POST /v1/runs HTTP/1.1', ...closing, ...json, 'Transfer-Encoding: chunked'),
    ],
    [
      'a chunk of no size',
      request('POST /v1/runs HTTP/1.1', ...closing, json[0]!, 'Transfer-Encoding: chunked') + 'zz\r\n',
    ],
  ])('is malformed_request: %s', async (_name, bytes) => expect(await refusal(bytes)).toEqual(MALFORMED))

  it('ends the connection', async () => {
    const [answer] = await ask('GARBAGE\r\n\r\n')
    expect(answer!.headers['connection']).toBe('close')
  })

  it('is no tunnel: CONNECT gets no answer at all', async () => {
    expect(await exchangeBytes(app.port, request('CONNECT elsewhere.example:443 HTTP/1.1', ...closing))).toBe(
      '',
    )
  })
})

describe('more than 16 KiB before the body', () => {
  const TOO_LARGE = { status: 431, code: 'headers_too_large' }

  it('is refused in one header, in many, and in the path', async () => {
    const long = 'x'.repeat(17_000)
    expect(await refusal(request('GET /livez HTTP/1.1', ...closing, `X: ${long}`))).toEqual(TOO_LARGE)
    const many = Array.from({ length: 1_500 }, (_, i) => `X-${i}: something`)
    expect(await refusal(request('GET /livez HTTP/1.1', ...closing, ...many))).toEqual(TOO_LARGE)
    expect(await refusal(request(`GET /livez?${long} HTTP/1.1`, ...closing))).toEqual(TOO_LARGE)
  })
})

describe('Expect', () => {
  it('is 417 for all but 100-continue', async () => {
    const bytes = request('POST /v1/runs HTTP/1.1', ...closing, ...json, 'Expect: magic')
    expect(await refusal(bytes, body)).toEqual({ status: 417, code: 'expectation_failed' })
  })

  it('100-continue is told to go on', async () => {
    const bytes = request('POST /v1/runs HTTP/1.1', ...closing, ...json, 'Expect: 100-continue')
    const text = await exchangeBytes(app.port, bytes, body)
    expect(text).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 201 Created\r\n/)
  })
})

describe('older and other clients', () => {
  it('HTTP/1.0 is answered, and the connection closed', async () => {
    const [answer] = await ask(request('GET /livez HTTP/1.0', 'Host: localhost'))
    expect(answer).toMatchObject({ status: 200, headers: { connection: 'close' }, text: '{"status":"ok"}' })
  })

  it('HTTP/1.0 needs a Host as well: without one nobody knows whom it is meant for', async () => {
    expect(await refusal(request('GET /livez HTTP/1.0'))).toEqual(MALFORMED)
  })

  it('the whole URL may stand in the request line (RFC 9112 §3.2.2)', async () => {
    const [answer] = await ask(request('GET http://localhost/livez HTTP/1.1', ...closing))
    expect(answer!.status).toBe(200)
  })

  it('an upgrade that nobody offers is not taken up', async () => {
    const upgrade = ['Connection: Upgrade, close', 'Upgrade: websocket']
    const [answer] = await ask(request('GET /livez HTTP/1.1', 'Host: localhost', ...upgrade))
    expect(answer!.status).toBe(200)
  })

  it('a body that nobody asked for is not read as the next request', async () => {
    const smuggled = request('POST /v1/runs HTTP/1.1', 'Host: localhost', ...json) + body
    const outer = request('GET /livez HTTP/1.1', ...closing, `Content-Length: ${smuggled.length}`)
    const before = app.writes()
    expect((await ask(outer + smuggled)).map(({ status }) => status)).toEqual([200])
    expect(app.writes()).toBe(before)
  })
})

describe('requests that follow each other on one connection without waiting', () => {
  const create = request('POST /v1/runs HTTP/1.1', 'Host: localhost', ...json) + body
  const alive = request('GET /livez HTTP/1.1', 'Host: localhost')
  const last = request('GET /livez HTTP/1.1', ...closing)

  it('are answered in their order', async () => {
    const answers = await ask(create + alive + create + last)
    expect(answers.map(({ status }) => status)).toEqual([201, 200, 201, 200])
    expect(answers.map(({ text }) => JSON.parse(text).state ?? 'alive')).toEqual([
      'pending',
      'alive',
      'pending',
      'alive',
    ])
  })

  it.each([
    ['one write', create, [201, 400]],
    ['two writes and a read', create + alive + create, [201, 200, 201, 400]],
  ])('are answered for what they did, although garbage follows: %s', async (_name, bytes, statuses) => {
    const answers = await ask(`${bytes}GARBAGE\r\n\r\n`)
    expect(answers.map(({ status }) => status)).toEqual(statuses)
    expect(problemIn(answers.at(-1)!).code).toBe('malformed_request')
  })
})

describe('clients that are slow', () => {
  it('have fifteen seconds for a request, and ten for its headers, looked at every second', () => {
    const { requestTimeout, headersTimeout } = app.app.server
    expect({ requestTimeout, headersTimeout }).toEqual({ requestTimeout: 15_000, headersTimeout: 10_000 })
    expect(app.app.server).toMatchObject({ connectionsCheckingInterval: 1_000 })
  })

  it('are told that their time is over', async () => {
    const impatient = await openTestApp()
    impatient.app.server.headersTimeout = 20
    impatient.app.server.requestTimeout = 30
    const half = ['GET /livez HT', request('POST /v1/runs HTTP/1.1', ...closing, ...json) + '{"project']
    const before = impatient.writes()
    for (const text of await Promise.all(half.map((bytes) => exchangeBytes(impatient.port, bytes)))) {
      const [answer] = answersIn(text)
      expect(problemIn(answer!)).toMatchObject({ status: 408, code: 'request_timeout', retryable: true })
    }
    expect(impatient.writes()).toBe(before)
    await impatient.close()
  })

  it('that hang up half-way harm nobody', async () => {
    for (const bytes of ['GET /li', request('POST /v1/runs HTTP/1.1', ...closing, ...json) + '{"pro']) {
      const socket = await connected(app.port)
      socket.write(bytes)
      socket.destroy()
    }
    expect((await app.request('GET', '/livez')).status).toBe(200)
  })
})
