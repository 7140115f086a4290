import type { Run } from '../../src/contract/run.ts'
import type { StepAttempt } from '../../src/contract/step.ts'
import { type Connection, type Method, type Reply, bodyOf } from '../support/client.ts'

/** A write that a client means to make, once. It may take several requests. */
export interface Write {
  method: Method
  path: string
  body: unknown
  /** Its Idempotency-Key; null where the client cannot repeat it. */
  key: string | null
  /** What it does, for the count at the end. */
  does: string
  /** The run that it is about; null if it makes one. */
  run_id: string | null
  /** Whether other clients write to that run too: then it may be refused. */
  shared: boolean
  /** The X-Request-Id of each request that was sent for it. */
  request_ids: string[]
  /** The first whole answer. */
  reply: Reply | null
  /** Whether that answer said that it repeats one which never arrived. */
  replayed: boolean
  /** What the client learns from the answer. */
  learn: (reply: Reply) => void
}

export type Plan = Pick<Write, 'does' | 'run_id' | 'path' | 'body'> &
  Partial<Pick<Write, 'method' | 'shared' | 'learn' | 'key'>>

interface OwnRun {
  run_id: string
  state: Run['state']
  running: string[]
  /** Failed attempts that were not retried. */
  failed: string[]
  steps: number
}

export const writeOf = (plan: Plan): Write => ({
  method: 'POST',
  shared: false,
  key: null,
  learn: () => {},
  ...plan,
  request_ids: [],
  reply: null,
  replayed: false,
})

let requests = 0

/** Sends a request for a write, the first or another one. @throws Unanswered */
export async function request(connection: Connection, write: Write): Promise<Reply> {
  const { method, path, body, key } = write
  const request_id = `request-${++requests}`
  write.request_ids.push(request_id)
  const headers = { 'x-request-id': request_id, ...(key === null ? {} : { 'idempotency-key': key }) }
  const reply = await connection.send({ method, path, body, headers })
  write.reply = reply
  write.replayed = reply.headers['idempotency-replayed'] === 'true'
  return reply
}

/**
 * A client that takes runs of its own through their whole life, in ever different ways, and now and then
 * meddles with a run that all clients share. It knows its own runs, so none of its writes to them is refused.
 */
export function createWorker({ name, random }: { name: string; random: () => number }) {
  let own: OwnRun | null = null
  let writes = 0

  const oneOf = <T>(things: readonly T[]): T => things[Math.floor(random() * things.length)]!
  const mark = () => `${name}-${writes}`

  function plan(shared_run_id: string): Plan {
    if (random() < 0.15) return { ...meddle(shared_run_id), shared: true }
    if (own === null) return create()
    return planFor(own)
  }

  function planFor(run: OwnRun): Plan {
    if (run.state === 'pending') return whilePending(run)
    if (run.state === 'running') return whileRunning(run)
    if (run.state === 'failed' && random() < 0.5) return close(run, 'quarantine', { reason: mark() })
    return last(run)
  }

  function whilePending(run: OwnRun): Plan {
    const dice = random()
    if (dice < 0.1) return close(run, 'cancel', {})
    return dice < 0.3 ? patch(run.run_id) : start(run)
  }

  function whileRunning(run: OwnRun): Plan {
    const dice = random()
    if (dice < 0.15) return note(run.run_id)
    if (dice < 0.25) return patch(run.run_id)
    if (dice < 0.5 && run.steps < 4) return { ...addStep(run.run_id), learn: (reply) => began(run, reply) }
    if (dice < 0.6 && run.failed.length > 0) return retry(run)
    if (dice < 0.85 && run.running.length > 0) return completeStep(run)
    if (run.steps === 0) return { ...addStep(run.run_id), learn: (reply) => began(run, reply) }
    if (run.running.length === 0) return close(run, 'complete', { status: 'succeeded', exit_code: 0 })
    return oneOf([
      () => close(run, 'complete', { status: 'failed', exit_code: 2, error_message: mark() }),
      () => close(run, 'cancel', { reason: mark() }),
      () => close(run, 'quarantine', { reason: mark() }),
    ])()
  }

  const meddle = (run_id: string): Plan =>
    random() < 0.1
      ? { does: 'cancel', run_id, path: `/v1/runs/${run_id}/cancel`, body: { reason: mark() } }
      : oneOf([note, patch, addStep])(run_id)

  const create = (): Plan => ({
    does: 'create',
    run_id: null,
    path: '/v1/runs',
    body: {
      project_id: 'kill',
      phase_id: oneOf(['build', 'test', 'deploy']),
      labels: { worker: name },
      metadata: { mark: mark() },
    },
    learn(reply) {
      own = { run_id: bodyOf<Run>(reply).run_id, state: 'pending', running: [], failed: [], steps: 0 }
    },
  })

  const start = (run: OwnRun): Plan => ({
    does: 'start',
    run_id: run.run_id,
    path: `/v1/runs/${run.run_id}/start`,
    body: {},
    learn: (reply) => (run.state = bodyOf<Run>(reply).state),
  })

  const close = (
    run: OwnRun,
    command: string,
    body: { status?: string; [field: string]: unknown },
  ): Plan => ({
    does: body.status ?? command,
    run_id: run.run_id,
    path: `/v1/runs/${run.run_id}/${command}`,
    body,
    learn: (reply) => (run.state = bodyOf<Run>(reply).state),
  })

  /** What may still be said of a closed run; then the next one. */
  const last = (run: OwnRun): Plan => ({ ...note(run.run_id), learn: () => (own = null) })

  const note = (run_id: string): Plan => ({
    does: 'note',
    run_id,
    path: `/v1/runs/${run_id}/events`,
    // A payload that looks like one of the server's: it is the client's word all the same.
    body: { kind: 'note', payload: { mark: mark(), run: { state: 'succeeded' } } },
  })

  const patch = (run_id: string): Plan => ({
    does: 'patch',
    run_id,
    method: 'PATCH',
    path: `/v1/runs/${run_id}`,
    body: { labels: { mark: mark() }, metadata: { [name]: mark() } },
  })

  const addStep = (run_id: string): Plan => ({
    does: 'step',
    run_id,
    path: `/v1/runs/${run_id}/steps`,
    body: { tool_id: 'pytest', metadata: { mark: mark() } },
  })

  function began(run: OwnRun, reply: Reply): void {
    run.running.push(bodyOf<StepAttempt>(reply).step_attempt_id)
    run.steps++
  }

  function completeStep(run: OwnRun): Plan {
    const id = oneOf(run.running)
    const status = oneOf(['succeeded', 'failed', 'canceled'])
    return {
      does: `step ${status}`,
      run_id: run.run_id,
      path: `/v1/steps/${id}/complete`,
      body: { status, stdout_tail: mark(), usage: { duration_ms: writes } },
      learn() {
        run.running = run.running.filter((one) => one !== id)
        if (status === 'failed') run.failed.push(id)
      },
    }
  }

  function retry(run: OwnRun): Plan {
    const id = run.failed.at(-1)!
    return {
      does: 'retry',
      run_id: run.run_id,
      path: `/v1/steps/${id}/retry`,
      body: { metadata: { mark: mark() } },
      learn(reply) {
        run.failed.pop()
        began(run, reply)
      },
    }
  }

  return {
    next(shared_run_id: string): Write {
      writes++
      return { ...writeOf(plan(shared_run_id)), key: random() < 0.85 ? mark() : null }
    },
    /** What it last did may have happened or not, and cannot be repeated: it begins with another run. */
    giveUp(): void {
      own = null
    },
  }
}

export type Worker = ReturnType<typeof createWorker>
