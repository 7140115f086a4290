import type {
  ClaimExecutionRequests,
  ClaimResult,
  CompleteExecutionRequest,
  CompletedRequest,
  FailExecutionRequest,
  Heartbeat,
  HeartbeatResult,
  ReleaseExecutionRequest,
} from '../contract/dispatch.ts'
import { pause } from './pause.ts'

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

  constructor(status: number, code: string, detail: string) {
    super(`${status} ${code}: ${detail}`)
    this.status = status
    this.code = code
  }
}

/** `is_replay` where an earlier, unheard answer was given again: time may have passed since. */
export interface Answer<T> {
  body: T
  is_replay: boolean
}

export interface Asking {
  signal?: AbortSignal
  timeout_ms?: number
}

/** The operations of a worker, each one attempt. All throw Unanswered and Refused. */
export interface Client {
  /** The key names the claim, so that a repeat finds what was claimed by one whose answer was lost. */
  claim(
    body: ClaimExecutionRequests,
    asking: Asking & { key: string; wait_seconds: number },
  ): Promise<Answer<ClaimResult>>
  heartbeat(id: string, body: Heartbeat, asking?: Asking): Promise<Answer<HeartbeatResult>>
  complete(id: string, body: CompleteExecutionRequest, claim_next: boolean): Promise<Answer<CompletedRequest>>
  fail(id: string, body: FailExecutionRequest): Promise<unknown>
  /** Gives it back, for anybody. */
  release(id: string, body: ReleaseExecutionRequest, asking?: Asking): Promise<unknown>
  /** Gives it back, for others. */
  reject(id: string, body: ReleaseExecutionRequest): Promise<unknown>
}

interface Sent extends Asking {
  path: string
  body: unknown
  headers?: Record<string, string>
}

const TIMEOUT_MS = 15_000

/** @param key the API key; null where the server needs none */
export function createClient({ server, key }: { server: URL; key: string | null }): Client {
  const base = `${server.origin}${server.pathname.replace(/\/$/, '')}/v1/execution-requests`
  const always = {
    'content-type': 'application/json',
    ...(key === null ? {} : { authorization: `Bearer ${key}` }),
  }

  async function post<T>({ path, body, headers, signal, timeout_ms = TIMEOUT_MS }: Sent): Promise<Answer<T>> {
    const timeout = AbortSignal.timeout(timeout_ms)
    try {
      const response = await fetch(base + path, {
        method: 'POST',
        headers: { ...always, ...headers },
        body: JSON.stringify(body),
        redirect: 'error', // the key and the reports are for this server
        signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
      })
      const text = await response.text()
      if (!response.ok) throw refusalOf(response, text)
      const is_replay = response.headers.get('idempotency-replayed') === 'true'
      return { body: text === '' ? ({ items: [] } as T) : (JSON.parse(text) as T), is_replay } // checked.ts looks at it
    } catch (error) {
      if (error instanceof Refused || error instanceof Unanswered) throw error
      throw new Unanswered(reasonOf(error))
    }
  }

  return {
    claim: (body, { key: claim_key, wait_seconds, ...asking }) =>
      post({
        path: '/claim',
        body,
        headers: { 'idempotency-key': claim_key, prefer: `wait=${wait_seconds}` },
        timeout_ms: wait_seconds * 1_000 + TIMEOUT_MS,
        ...asking,
      }),
    heartbeat: (id, body, asking) => post({ path: `/${id}/heartbeat`, body, ...asking }),
    complete: (id, body, claim_next) =>
      post({ path: `/${id}/complete${claim_next ? '?claim_next=true' : ''}`, body }),
    fail: (id, body) => post({ path: `/${id}/fail`, body }),
    release: (id, body, asking) => post({ path: `/${id}/release`, body, ...asking }),
    reject: (id, body) => post({ path: `/${id}/reject`, body }),
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

const FIRST_MS = 200
const CAP_MS = 10_000
const RETRY_AFTER_CAP_MS = 30_000

/** How long to wait after so many failures: doubled each time, and never the same for two workers. */
export function backOff(failures: number, error: Unanswered): number {
  const cap = Math.min(CAP_MS, FIRST_MS * 2 ** Math.min(failures - 1, 10))
  const jittered = cap * (0.5 + Math.random() / 2)
  return jittered + Math.min(error.retry_after_ms, RETRY_AFTER_CAP_MS)
}

/**
 * Does it until it is answered: for what may safely be repeated.
 * @throws Refused, or the last Unanswered once the signal has fired
 */
export async function persist<T>(
  attempt: () => Promise<T>,
  { signal, onFailure }: { signal: AbortSignal; onFailure: (error: Unanswered, failures: number) => void },
): Promise<T> {
  for (let failures = 1; ; failures++) {
    try {
      return await attempt()
    } catch (error) {
      if (!(error instanceof Unanswered) || signal.aborted) throw error
      onFailure(error, failures)
      await pause(backOff(failures, error), signal)
      if (signal.aborted) throw error
    }
  }
}
