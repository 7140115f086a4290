import { expect } from 'vitest'
import type { Run, RunState } from '../../src/contract/run.ts'
import type { StepAttempt, StepAttemptState } from '../../src/contract/step.ts'
import type { Answer, Headers, TestApp } from '../support/http.ts'

/** Somebody who asks over HTTP, and who brings runs and step attempts to where a test begins. */
export interface Client {
  get(path: string, headers?: Headers): Promise<Answer>
  post(path: string, body?: unknown, headers?: Headers): Promise<Answer>
  patch(path: string, body: unknown, headers?: Headers): Promise<Answer>
  aRun(state?: RunState, given?: object): Promise<Run>
  aStep(state?: StepAttemptState, given?: object): Promise<StepAttempt>
  /** Another attempt in the run of this one. */
  aStepIn(run: Pick<Run, 'run_id'>, given?: object): Promise<StepAttempt>
}

/** The commands that lead to each state, from pending. */
const TO_STATE: Record<RunState, [command: string, body: object][]> = {
  pending: [],
  running: [['start', {}]],
  succeeded: [
    ['start', {}],
    ['complete', { status: 'succeeded' }],
  ],
  failed: [
    ['start', {}],
    ['complete', { status: 'failed', exit_code: 2, error_message: 'two tests failed' }],
  ],
  quarantined: [
    ['start', {}],
    ['quarantine', { reason: 'corrupted worktree' }],
  ],
  canceled: [['cancel', {}]],
}

export const RUN_STATES = Object.keys(TO_STATE) as RunState[]

export function clientOf(app: TestApp, as?: string): Client {
  const ask = (method: string, path: string, body?: unknown, headers: Headers = {}) =>
    app.request(method, path, { body, headers, ...(as === undefined ? {} : { as }) })

  const done = async (answer: Promise<Answer>) => {
    const { status, text, body } = await answer
    expect(status, text).toBeLessThan(300)
    return body
  }
  const client: Client = {
    get: (path, headers) => ask('GET', path, undefined, headers),
    post: (path, body, headers) => ask('POST', path, body, headers),
    patch: (path, body, headers) => ask('PATCH', path, body, headers),

    async aRun(state = 'pending', given = {}) {
      let run: Run = await done(client.post('/v1/runs', { project_id: 'shop', phase_id: 'build', ...given }))
      for (const [command, body] of TO_STATE[state]) {
        run = await done(client.post(`/v1/runs/${run.run_id}/${command}`, body))
      }
      return run
    },

    aStepIn: ({ run_id }, given = {}) =>
      done(client.post(`/v1/runs/${run_id}/steps`, { tool_id: 'pytest', ...given })),

    async aStep(state = 'running', given = {}) {
      const step = await client.aStepIn(await client.aRun('running'), given)
      if (state === 'running') return step
      return done(client.post(`/v1/steps/${step.step_attempt_id}/complete`, { status: state }))
    },
  }
  return client
}
