import { DemoFailed } from './stopping.ts'

/** The bare HTTP API, as any client has it. All throw DemoFailed, or the reason of the signal. */
export interface Api {
  url: string
  get<T>(path: string): Promise<T>
  post<T>(path: string, body?: unknown): Promise<T>
  /** For what is sent as it stands in a file, or under a condition. */
  send<T>(path: string, init: RequestInit): Promise<T>
}

const TIMEOUT_MS = 15_000

export function connect(url: string, signal: AbortSignal): Api {
  async function send<T>(path: string, init: RequestInit): Promise<T> {
    const response = await asked(url + path, init, signal)
    const text = await response.text()
    if (!response.ok) throw new DemoFailed(`${init.method} ${path} was answered ${response.status}: ${text}`)
    return JSON.parse(text) as T // the OpenAPI document says what it is
  }
  return {
    url,
    send,
    get: (path) => send(path, { method: 'GET' }),
    post: (path, body) =>
      send(path, {
        method: 'POST',
        ...(body === undefined
          ? {}
          : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
      }),
  }
}

async function asked(url: string, init: RequestInit, signal: AbortSignal): Promise<Response> {
  try {
    return await fetch(url, { ...init, signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]) })
  } catch (error) {
    signal.throwIfAborted()
    const { message, cause } = error as Error
    const why = cause instanceof Error ? cause.message : message
    throw new DemoFailed(`${init.method} ${url} was not answered: ${why}`)
  }
}
