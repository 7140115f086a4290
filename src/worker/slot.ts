import { type Answer, type Asking, Refused, Unanswered } from '../client/connection.ts'
import { persist } from '../client/patience.ts'
import type { ClaimedRequest, CompletedRequest } from '../contract/dispatch.ts'
import { LIMITS } from '../contract/limits.ts'
import { isPromptAnOption } from './argv.ts'
import { type Attempt, startAttempt } from './attempt.ts'
import { checkedClaim } from './checked.ts'
import type { Client } from './client.ts'
import type { Health } from './health.ts'
import { keepLease } from './lease-keeper.ts'
import type { Log } from './log.ts'
import { type Facts, type Report, reportOf } from './report.ts'
import type { Tool, Tools } from './tools-file.ts'

/** What a slot shares with the worker. */
export interface SlotDeps {
  client: Client
  tools: Tools
  data_dir: string
  lease_seconds: number
  env: NodeJS.ProcessEnv
  log: Log
  health: Health
  /** Fires when the worker takes no more. */
  stopping: AbortSignal
  /** Fires when the worker waits for nothing any more. */
  gaveUp: AbortSignal
  /** Fires a moment later, when no answer is waited for either. */
  saidAll: AbortSignal
  /** Tells what runs; the function that it returns tells that it has ended. */
  onRunning: (claimed: ClaimedRequest, attempt: Attempt) => () => void
}

/** Carries out a claim, and whatever the server gives in its place once it is reported. Never throws. */
export async function carryOut(first: ClaimedRequest, deps: SlotDeps): Promise<void> {
  for (let next: ClaimedRequest | null = first; next !== null;) next = await attemptSafely(next, deps)
}

async function attemptSafely(claimed: ClaimedRequest, deps: SlotDeps): Promise<ClaimedRequest | null> {
  try {
    return await attemptOne(claimed, deps)
  } catch (error) {
    deps.log('error', 'gave up', { ...named(claimed), reason: (error as Error).message })
    return null
  }
}

const named = ({ execution_request, step_attempt }: ClaimedRequest) => ({
  execution_request_id: execution_request.request_id,
  tool_id: step_attempt.tool_id,
})

async function attemptOne(claimed: ClaimedRequest, deps: SlotDeps): Promise<ClaimedRequest | null> {
  if (deps.stopping.aborted) return giveBack(claimed, deps) // it may have been told to while the claim was looked at
  const { execution_request: request } = claimed
  const tool = deps.tools.get(request.assignment?.tool_id ?? '')
  if (tool === undefined) return refuse(claimed, 'the tools file of this worker does not have the tool', deps)
  if (isPromptAnOption(tool.argv, request.input?.prompt ?? '')) return refusePrompt(claimed, deps)
  const keeper = keepLease({
    client: deps.client,
    claimed,
    lease_seconds: deps.lease_seconds,
    output: () => attempt?.output() ?? '',
    onCancel: () => attempt?.end('canceled'),
    onLost(reason) {
      deps.log('warn', 'lost the lease', { ...named(claimed), reason })
      attempt?.end('lost')
    },
    onAway: (error) => deps.log('warn', 'no heartbeat', { ...named(claimed), reason: error.message }),
  })
  let attempt: Attempt | undefined
  try {
    attempt = started(claimed, tool, deps)
    const ended = deps.onRunning(claimed, attempt)
    const facts = await attempt.ended.finally(ended)
    return await tell(claimed, facts, deps)
  } catch (error) {
    if (attempt !== undefined) throw error
    return await failHere(claimed, error as Error, deps)
  } finally {
    keeper.stop()
  }
}

function started(claimed: ClaimedRequest, tool: Tool, { data_dir, env, log, health }: SlotDeps): Attempt {
  const attempt = startAttempt({ claimed, tool, data_dir, env })
  health.kept()
  log('info', 'started', { ...named(claimed), step_attempt_id: claimed.step_attempt.step_attempt_id })
  return attempt
}

/** Reports what became of the program; the answer may bring the next claim. */
async function tell(claimed: ClaimedRequest, facts: Facts, deps: SlotDeps): Promise<ClaimedRequest | null> {
  const { end, cause, stdout, stderr } = facts
  const { duration_ms, ...how } = end
  deps.log('info', 'ended', {
    ...named(claimed),
    ...how,
    cause,
    duration_ms,
    stdout: stdout.counts(),
    stderr: stderr.counts(),
  })
  if (cause === 'lost') return null
  if (cause === 'stopped') return giveBack(claimed, deps)
  const report = reportOf(facts)
  const answer = await reported(claimed, report, deps)
  return answer === null ? null : nextOf(answer, deps)
}

/** Null where there is no answer to go on from. */
async function reported(
  claimed: ClaimedRequest,
  report: Report,
  deps: SlotDeps,
): Promise<Answer<CompletedRequest> | null> {
  const { request_id } = claimed.execution_request
  const { client, log } = deps
  const claim_next = !deps.stopping.aborted && deps.health.isWell() // decided once: a repeat has to be the same request
  try {
    const answer = await patiently(claimed, deps, (asking) =>
      report.call === 'complete'
        ? client.complete(request_id, report.body, { ...asking, claim_next })
        : client.fail(request_id, report.body, asking).then(() => null),
    )
    const error_class = report.call === 'fail' ? report.body.error.class : null
    const next = answer?.body.next?.execution_request.request_id ?? null
    log('info', 'reported', { ...named(claimed), call: report.call, error_class, next })
    return answer
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    log('warn', 'the report was refused', { ...named(claimed), reason: error.message })
    return null
  }
}

/** Reports may be repeated: the token and the body name them, and the first answer comes again. */
const patiently = <T>(
  claimed: ClaimedRequest,
  deps: SlotDeps,
  call: (asking: Asking) => Promise<T>,
): Promise<T> =>
  persist(() => call({ signal: deps.saidAll }), {
    signal: deps.gaveUp,
    onFailure: ({ message }, failures) =>
      deps.log('warn', 'the report was not answered', { ...named(claimed), reason: message, failures }),
  })

async function nextOf(
  { body, is_replay }: Answer<CompletedRequest>,
  deps: SlotDeps,
): Promise<ClaimedRequest | null> {
  if (body.next === null) return null
  const next = checkedClaim(body.next)
  return !is_replay || (await isStillOurs(next, deps)) ? next : null
}

/**
 * A claim that comes out of a repeated answer may be old, its lease over and the work somebody else's. A worker that
 * stops takes it for its own: it gives it back, and the server refuses that where it is not.
 */
export async function isStillOurs({ execution_request, lease_token }: ClaimedRequest, deps: SlotDeps) {
  const { client, stopping: signal } = deps
  const ask = () => client.heartbeat(execution_request.request_id, { lease_token }, { signal })
  try {
    const { body } = await persist(ask, { signal, onFailure: () => {} })
    return !body.lease_lost
  } catch (error) {
    if (error instanceof Unanswered) return true
    throw error
  }
}

/** How long the last word of a worker that stops may take. */
export const LAST_WORD_MS = 2_000

export async function giveBack(claimed: ClaimedRequest, deps: SlotDeps): Promise<null> {
  const { request_id } = claimed.execution_request
  const body = { lease_token: claimed.lease_token, reason: 'the worker stops' }
  try {
    await deps.client.release(request_id, body, { timeout_ms: LAST_WORD_MS })
    deps.log('info', 'released', named(claimed))
  } catch (error) {
    if (!(error instanceof Refused) && !(error instanceof Unanswered)) throw error
    deps.log('warn', 'could not release', { ...named(claimed), reason: error.message }) // its lease will end
  }
  return null
}

async function refuse(claimed: ClaimedRequest, reason: string, deps: SlotDeps): Promise<null> {
  const { lease_token, execution_request } = claimed
  deps.log('warn', 'rejected', { ...named(claimed), reason })
  const body = { lease_token, reason }
  await patiently(claimed, deps, (asking) => deps.client.reject(execution_request.request_id, body, asking))
  return null
}

const OPTION =
  'The prompt begins with a dash, and the tool would take it for an option. In the tools file, put -- before {prompt}, or use {prompt_file}.'

const refusePrompt = (claimed: ClaimedRequest, deps: SlotDeps) =>
  failed(claimed, { class: 'invalid_request', code: 'prompt_is_option', message: OPTION }, deps)

/** What is wrong is here, and says nothing of the tool or the request: others may do it, and it has lost no attempt. */
function failHere(claimed: ClaimedRequest, { message }: Error, deps: SlotDeps): Promise<null> {
  deps.health.failed()
  return refuse(claimed, `this worker cannot keep its files: ${message}`.slice(0, LIMITS.reason_length), deps)
}

async function failed(
  claimed: ClaimedRequest,
  error: { class: string; code?: string; message: string },
  deps: SlotDeps,
): Promise<null> {
  await reported(claimed, { call: 'fail', body: { lease_token: claimed.lease_token, error } }, deps)
  return null
}
