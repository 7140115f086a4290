import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Run } from '../../src/contract/run.ts'
import type { StepAttempt } from '../../src/contract/step.ts'
import { type Sent, type TestApp, openTestApp } from '../support/http.ts'
import { type Client, clientOf } from './client.ts'

/** A server with something in it that bad input must leave as it is. */
export interface Untouched {
  app: TestApp
  client: Client
  pending: Run
  running: Run
  /** A running attempt of the running run. */
  step: StepAttempt
  /** Sends what must be refused so, and must write nothing. */
  refused(request: { method: string; path: string; sent?: Sent }, expected: Refusal): Promise<void>
}

export interface Refusal {
  status: number
  code: string
  /** The place that must be among those that the answer names. */
  at?: string
}

/** Opens the server before the tests of a file, and sees to it after them that they have left no trace. */
export function untouched(): Untouched {
  const server = {} as Untouched // filled before the first test
  beforeAll(async () => {
    const app = await openTestApp()
    const client = clientOf(app)
    const step = await client.aStep()
    const running = (await client.get(`/v1/runs/${step.run_id}`)).body
    const pending = await client.aRun()
    Object.assign(server, { app, client, pending, running, step, refused: refusedBy(app) })
  })
  afterAll(() => server.app.close())
  return server
}

/** The last test of a file. */
export function leavesNoTrace(server: Untouched): void {
  describe('what was refused above', () => {
    it('has left no trace', async () => {
      const { app, client, pending, running, step } = server
      expect((await client.get(`/v1/runs/${pending.run_id}`)).body).toEqual(pending)
      expect((await client.get(`/v1/runs/${running.run_id}`)).body).toEqual(running)
      expect((await client.get(`/v1/steps/${step.step_attempt_id}`)).body).toMatchObject(step)
      expect(app.logs.filter(({ level }) => level > 30)).toEqual([])
    })
  })
}

const refusedBy =
  (app: TestApp): Untouched['refused'] =>
  async ({ method, path, sent }, expected) => {
    const before = app.writes()
    const { status, body } = await app.request(method, path, sent)
    expect({ status, code: body.code }, body.detail).toEqual({ status: expected.status, code: expected.code })
    if (expected.at !== undefined) expect(placesIn(body.errors ?? [])).toContain(expected.at)
    expect(app.writes()).toBe(before)
  }

const placesIn = (faults: { pointer?: string; parameter?: string }[]) =>
  faults.map(({ pointer, parameter }) => pointer ?? parameter)
