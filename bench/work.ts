import { HOST, type Journey, type Sent, endWith } from './journeys.ts'
import { TOOLS } from './scenario.ts'

/**
 * What a worker does all day. `pairs`: it completes what it holds and claims the next in one request, as a busy one
 * does. `pairs apart`: a request for each. `claims`: some claims, a pause, their completions, a pause.
 */
export type WorkScenario = 'pairs' | 'pairs apart' | 'claims'

export const WORK_STEPS = ['claim', 'complete', 'complete and claim'] as const
export type WorkStep = (typeof WORK_STEPS)[number]

/** Each worker can run so many of the tools; no two neighbours the same ones. */
const TOOLS_EACH = 3
/** Longer than the bench: nothing is to expire while another side is measured. */
const LEASE_SECONDS = 3_600
/** Of `claims`: few beside what is queued, so that the queue is about as deep afterwards. */
export const CLAIMS_EACH = 8

export const workerId = (worker: number): string => `worker-${100 + worker}`
export const toolsFor = (worker: number): string[] =>
  Array.from({ length: TOOLS_EACH }, (_, i) => TOOLS[(worker + i) % TOOLS.length]!)

export const claimBody = (worker: number) => ({
  worker_id: workerId(worker),
  tools: toolsFor(worker),
  lease_seconds: LEASE_SECONDS,
})
export const completionBody = (lease_token: string) => ({
  lease_token,
  exit_code: 0,
  usage: { duration_ms: 8_123 },
})

interface Held {
  request_id: string
  lease_token: string
}

/** A worker that goes by what it is given; one that is given nothing asks again. */
export function workJourney(scenario: WorkScenario, worker: number): Journey {
  const claim = writing('claim', '/v1/execution-requests/claim', claimBody(worker))
  const held: Held[] = []
  const chooses = CHOICES[scenario](held)
  let sent: WorkStep = 'claim'
  return {
    next() {
      const step = chooses()
      if (step === null) return null
      sent = step
      return step === 'claim' ? claim : completion(step, held.shift()!)
    },
    learn({ status, body }) {
      if (status !== 200 || sent === 'complete') return
      const next = heldIn(body, sent)
      if (next !== null) held.push(next)
    },
  }
}

/** What comes next; null is a pause. */
const CHOICES: Record<WorkScenario, (held: readonly Held[]) => () => WorkStep | null> = {
  pairs: (held) => () => (held.length === 0 ? 'claim' : 'complete and claim'),
  'pairs apart': (held) => () => (held.length === 0 ? 'claim' : 'complete'),
  claims(held) {
    let claims = 0
    let completes = false
    return () => {
      if (!completes && claims < CLAIMS_EACH) return (claims++, 'claim')
      if (completes && held.length > 0) return 'complete'
      completes = !completes
      claims = 0
      return null
    }
  },
}

function completion(step: 'complete' | 'complete and claim', { request_id, lease_token }: Held): Sent {
  const query = step === 'complete' ? '' : '?claim_next=true'
  return writing(step, `/v1/execution-requests/${request_id}/complete${query}`, completionBody(lease_token))
}

const writing = (step: WorkStep, path: string, body: object): Sent => ({
  step,
  writes: true,
  timed: true,
  text: `POST ${path} HTTP/1.1\r\n${HOST}\r\n${endWith(body)}`,
})

const ID = '"request_id":"'
const TOKEN = '"lease_token":"'
/** Only here in the answer to a completion, where the request that was completed comes first. */
const NEXT = '"next":{'

/** Searched for, not parsed: the client must not cost as much as the server. Quotes in values are escaped. */
export function heldIn(body: string, step: WorkStep): Held | null {
  const next = step === 'claim' ? 0 : body.indexOf(NEXT)
  const id = next === -1 ? -1 : body.indexOf(ID, next)
  const token = body.lastIndexOf(TOKEN)
  if (id === -1 || token === -1) return null
  const text = (at: number, length: number): string => body.slice(at, at + length)
  return { request_id: text(id + ID.length, 26), lease_token: text(token + TOKEN.length, 32) }
}
