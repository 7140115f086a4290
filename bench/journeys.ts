import { ulid } from 'ulid'
import { LIFECYCLE, ROUTE, type Step } from './scenario.ts'
import type { Reply } from './wire.ts'
import type { WorkScenario } from './work.ts'

export interface Sent {
  step: string
  writes: boolean
  /** Whether its latency counts: in a life of writes and one read, that of the writes does. */
  timed: boolean
  text: string
}

/** What one connection asks for, one thing after the other, without end. */
export interface Journey {
  /** Null is a pause: the load is over for it. */
  next(): Sent | null
  learn(reply: Reply): void
}

export type Scenario = 'create' | 'lifecycle' | 'route' | 'paths' | WorkScenario

/** Creates runs, routes tasks, or leads each through its life; after an answer that is no success it begins anew. */
export function runJourney(steps: readonly Step[], keyed: boolean): Journey {
  const ids = { run_id: '', step_attempt_id: '' }
  const written = steps.map((step) => requestWriter(step, keyed))
  let at = 0
  return {
    next() {
      const { name, method } = steps[at]!
      const writes = method === 'POST'
      return { step: name, writes, timed: writes, text: written[at]!(ids) }
    },
    learn({ status, head }) {
      const { about } = steps[at]!
      if (status === 201 && about !== 'decision')
        ids[about === 'run' ? 'run_id' : 'step_attempt_id'] = createdId(head)
      at = status < 300 ? (at + 1) % steps.length : 0
    },
  }
}

const STEPS = {
  create: LIFECYCLE.slice(0, 1),
  lifecycle: LIFECYCLE,
  route: [ROUTE],
} satisfies Partial<Record<Scenario, readonly Step[]>>

export const stepsOf = (scenario: keyof typeof STEPS): readonly Step[] => STEPS[scenario]

/** Reads paths, each connection from another place of the list on. */
export function pathJourney(paths: readonly string[], start: number): Journey {
  let at = start % paths.length
  return {
    next() {
      at = (at + 1) % paths.length
      const text = `GET ${paths[at]} HTTP/1.1\r\n${HOST}\r\n\r\n`
      return { step: 'read', writes: false, timed: true, text }
    },
    learn() {},
  }
}

export const HOST = 'Host: 127.0.0.1'

// As few headers as a client can send: more would cost both sides the same and so bring their ratio nearer to 1.
function requestWriter({ method, route, bodies }: Step, keyed: boolean) {
  const heads = `HTTP/1.1\r\n${HOST}\r\n`
  const ends = bodies.length === 0 ? [endWithout(method)] : bodies.map(endWith)
  const parts = route.split(/:(\w+)/)
  let count = 0
  return (ids: { run_id: string; step_attempt_id: string }): string => {
    const [before = '', name, after = ''] = parts
    const path = name === undefined ? before : `${before}${ids[name as keyof typeof ids]}${after}`
    const key = keyed && method === 'POST' ? `Idempotency-Key: "${ulid(Date.now(), Math.random)}"\r\n` : ''
    return `${method} ${path} ${heads}${key}${ends[count++ % ends.length]}`
  }
}

const endWithout = (method: string): string => (method === 'GET' ? '\r\n' : 'Content-Length: 0\r\n\r\n')

export function endWith(body: object): string {
  const text = JSON.stringify(body)
  return `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`
}

const createdId = (head: string): string => /\r\nlocation: \/v1\/\w+\/(\w{26})\r\n/.exec(head)?.[1] ?? ''
