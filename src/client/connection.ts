import type { Problem } from '../contract/problem.ts'
import { type Message, messagesOf } from './messages.ts'

/** There was no whole answer, or one that says to try again: it may have taken effect or not. */
export class Unanswered extends Error {
  readonly retry_after_ms: number
  /** Of an answer that says to try again; null where none came. */
  readonly status: number | null

  constructor(message: string, { retry_after_ms = 0, status = null as number | null } = {}) {
    super(message)
    this.retry_after_ms = retry_after_ms
    this.status = status
  }
}

/** The server has decided against it; a repeat would be refused as well. */
export class Refused extends Error {
  readonly status: number
  readonly code: string
  readonly detail: string
  /** The path of the page that explains the code. */
  readonly type: string

  constructor(status: number, { code, detail, type }: ProblemWords) {
    super(`${status} ${code}: ${detail}`)
    this.status = status
    this.code = code
    this.detail = detail
    this.type = type
  }
}

type ProblemWords = Pick<Problem, 'code' | 'detail' | 'type'>

/** The code of an answer that no Signalbox gives. */
export const NO_PROBLEM = 'no_problem_document'

export interface Answer<T> {
  /** What the text says; undefined where there is none (204). */
  body: T
  text: string
  /** An earlier, unheard answer was given again: time may have passed since. */
  is_replay: boolean
}

export interface Asking {
  signal?: AbortSignal
  timeout_ms?: number
}

export interface Sent extends Asking {
  method: 'GET' | 'POST'
  /** From `/v1` on. */
  path: string
  /** Sent as JSON. */
  body?: unknown
  headers?: Record<string, string>
}

/** A server, as its clients have it. */
export interface Connection {
  /** One attempt. @throws Unanswered, Refused */
  send<T>(sent: Sent): Promise<Answer<T>>
  /**
   * Opens a stream of server-sent events behind the one with this id. What it yields throws Unanswered where it breaks
   * off, or has been silent for too long: a connection may be lost without a word.
   * @returns null where there is nothing to come (204)
   * @throws Unanswered, Refused
   */
  stream(path: string, last_id: string): Promise<AsyncIterable<Message> | null>
}

const TIMEOUT_MS = 15_000
/** Three beats of the server. */
const SILENCE_MS = 45_000

export interface ConnectOptions {
  server: URL
  /** The API key; null where the server needs none. */
  key: string | null
  /** After how long without a byte a stream is given up. */
  silence_ms?: number
}

export function connect({ server, key, silence_ms = SILENCE_MS }: ConnectOptions): Connection {
  const base = `${server.origin}${server.pathname.replace(/\/$/, '')}`
  const always = key === null ? {} : { authorization: `Bearer ${key}` }

  return {
    async send<T>({ method, path, body, headers, signal, timeout_ms = TIMEOUT_MS }: Sent) {
      const timeout = AbortSignal.timeout(timeout_ms)
      const typed = body === undefined ? {} : { 'content-type': 'application/json' }
      try {
        const response = await fetch(base + path, {
          method,
          headers: { ...always, ...typed, ...headers },
          ...(body === undefined ? {} : { body: JSON.stringify(body) }),
          redirect: 'error', // the key and what is sent are for this server
          signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
        })
        const text = await response.text()
        if (!response.ok) throw refusalOf(response, text)
        const is_replay = response.headers.get('idempotency-replayed') === 'true'
        // The OpenAPI document says what it is.
        return { body: (text === '' ? undefined : JSON.parse(text)) as T, text, is_replay }
      } catch (error) {
        if (error instanceof Refused || error instanceof Unanswered) throw error
        throw new Unanswered(reasonOf(error))
      }
    },

    async stream(path, last_id) {
      const silence = new AbortController()
      const timer = setTimeout(() => silence.abort(new Error('nothing was heard')), silence_ms)
      try {
        const response = await fetch(base + path, {
          headers: { ...always, accept: 'text/event-stream', 'last-event-id': last_id },
          redirect: 'error',
          signal: silence.signal,
        })
        if (!response.ok) throw refusalOf(response, await response.text())
        if (response.status === 204) {
          clearTimeout(timer)
          return null
        }
        return messagesOf(heard(response.body!, timer)) // only a HEAD has none
      } catch (error) {
        clearTimeout(timer)
        if (error instanceof Refused || error instanceof Unanswered) throw error
        throw new Unanswered(reasonOf(error))
      }
    },
  }
}

/** The chunks of a stream; each of them begins the time of silence anew. */
async function* heard(body: ReadableStream<Uint8Array>, timer: NodeJS.Timeout): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of body) {
      timer.refresh()
      yield chunk
    }
  } catch (error) {
    throw new Unanswered(reasonOf(error))
  } finally {
    clearTimeout(timer)
  }
}

function refusalOf({ status, headers }: Response, text: string): Error {
  const problem = problemOf(text)
  if (status >= 500 || status === 429 || status === 408) {
    const seconds = Number(headers.get('retry-after') ?? 0)
    const retry_after_ms = Number.isFinite(seconds) ? seconds * 1_000 : 0
    return new Unanswered(`${status} ${problem.code}`, { retry_after_ms, status })
  }
  return new Refused(status, problem)
}

function problemOf(text: string): ProblemWords {
  try {
    const { code, detail, type } = JSON.parse(text) as Partial<Problem>
    if (code !== undefined) return { code: String(code), detail: String(detail), type: String(type) }
  } catch {
    // What stands before a server may answer with anything.
  }
  return { code: NO_PROBLEM, detail: text.slice(0, 200), type: '' }
}

/** fetch hides why it failed in `cause`. */
function reasonOf(error: unknown): string {
  const { message, cause } = error as Error
  if (!(cause instanceof Error)) return message
  return (cause as NodeJS.ErrnoException).code ?? cause.message
}
