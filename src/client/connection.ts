/** There was no whole answer, or one that says to try again: it may have taken effect or not. */
export class Unanswered extends Error {
  readonly retry_after_ms: number

  constructor(message: string, retry_after_ms = 0) {
    super(message)
    this.retry_after_ms = retry_after_ms
  }
}

/** The server has decided against it; a repeat would be refused as well. */
export class Refused extends Error {
  readonly status: number
  readonly code: string
  readonly detail: string

  constructor(status: number, code: string, detail: string) {
    super(`${status} ${code}: ${detail}`)
    this.status = status
    this.code = code
    this.detail = detail
  }
}

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
}

const TIMEOUT_MS = 15_000

/** @param key the API key; null where the server needs none */
export function connect({ server, key }: { server: URL; key: string | null }): Connection {
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
  }
}

function refusalOf({ status, headers }: Response, text: string): Error {
  const problem = problemOf(text)
  if (status >= 500 || status === 429 || status === 408) {
    const seconds = Number(headers.get('retry-after') ?? 0)
    return new Unanswered(`${status} ${problem.code}`, Number.isFinite(seconds) ? seconds * 1_000 : 0)
  }
  return new Refused(status, problem.code, problem.detail)
}

function problemOf(text: string): { code: string; detail: string } {
  try {
    const { code, detail } = JSON.parse(text) as { code?: unknown; detail?: unknown }
    return { code: String(code), detail: String(detail) }
  } catch {
    return { code: 'no_problem_document', detail: text.slice(0, 200) }
  }
}

/** fetch hides why it failed in `cause`. */
function reasonOf(error: unknown): string {
  const { message, cause } = error as Error
  if (!(cause instanceof Error)) return message
  return (cause as NodeJS.ErrnoException).code ?? cause.message
}
