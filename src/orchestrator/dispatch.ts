import type {
  ClaimExecutionRequests,
  ClaimResult,
  CompleteExecutionRequest,
  CompletedRequest,
  FailExecutionRequest,
  Heartbeat,
  HeartbeatResult,
  RejectExecutionRequest,
  ReleaseExecutionRequest,
} from '../contract/dispatch.ts'
import type { ExecutionRequest } from '../contract/execution-request.ts'
import type { Diagnosis } from '../contract/worker.ts'
import { LIMITS } from '../contract/limits.ts'
import { claimRequests } from '../domain/claim.ts'
import { completeRequest } from '../domain/completion.ts'
import type { Caller, Scope, Snapshot } from '../domain/decision.ts'
import type { Outcome } from '../domain/idempotency.ts'
import { diagnose } from '../domain/diagnosis.ts'
import { expireRequest } from '../domain/expiry.ts'
import { heartbeat } from '../domain/lease.ts'
import { failRequest, rejectRequest, releaseRequest } from '../domain/lease-end.ts'
import type { Store } from '../store/store.ts'
import { type Call, type GivenFor, OWN_CALL, OWN_WRITE, type Write, type WriteOnce } from './call.ts'
import type { Hub } from './hub.ts'
import type { Patience } from './patience.ts'
import { createReassignment } from './reassignment.ts'
import type { Place } from './waiters.ts'

/** The use cases of workers. */
export interface DispatchCases {
  /** Nothing to do is an empty list, after the patience has run out. */
  claimExecutionRequests(
    call: Call<ClaimResult>,
    body: ClaimExecutionRequests,
    patience: Patience,
  ): Promise<Outcome<ClaimResult>>
  heartbeatExecutionRequest(caller: Caller, id: string, body: Heartbeat): Promise<HeartbeatResult>
  completeExecutionRequest(
    call: Call<CompletedRequest>,
    id: string,
    body: CompleteExecutionRequest,
    claim_next: boolean,
  ): Promise<Outcome<CompletedRequest>>
  failExecutionRequest: Write<FailExecutionRequest, ExecutionRequest>
  rejectExecutionRequest: Write<RejectExecutionRequest, ExecutionRequest>
  releaseExecutionRequest: Write<ReleaseExecutionRequest, ExecutionRequest>
  /** Why nothing is happening with a request. */
  diagnoseExecutionRequest(caller: Caller, id: string): Promise<Diagnosis>
  /** Ends what time has ended; answers when it will end something next, null if nothing. */
  sweep(): Promise<string | null>
}

interface Parts {
  store: Store
  givenFor: GivenFor
  write: WriteOnce
  hub: Hub
}

export const dispatchCases = (parts: Parts): DispatchCases => ({
  claimExecutionRequests: (call, body, patience) => claimWaiting(parts, call, body, patience),
  ...leaseCases(parts),
  diagnoseExecutionRequest(caller, execution_request_id) {
    const { now } = parts.givenFor({ ...OWN_CALL, caller })
    const scope = { execution_request_id, lease: true, surroundings: { now }, obstacles: true }
    return parts.store.view(scope, (before) => diagnose(before, { now, caller }))
  },
  sweep: sweeper(parts),
})

/** Until there is work or the patience has run out. The place in the line is taken before the first look. */
async function claimWaiting(
  parts: Parts,
  call: Call<ClaimResult>,
  body: ClaimExecutionRequests,
  { wait_ms, signal }: Patience,
): Promise<Outcome<ClaimResult>> {
  const tools = new Set(body.tools)
  const end = performance.now() + wait_ms
  const place = parts.hub.waiters.join(tools)
  try {
    for (;;) {
      place.look()
      const { outcome, full } = await claimOnce(parts, call, { ...body, tools: [...tools] })
      if ('replayed' in outcome) return outcome
      const { items } = outcome.record
      for (const { step_attempt } of items) place.took(step_attempt.tool_id)
      if (items.length > 0) return outcome
      await passOn(parts, place, full)
      if (!(await place.wait(end - performance.now(), signal))) return outcome
    }
  } finally {
    place.leave()
  }
}

/**
 * A look that found nothing: others may be allowed what this one is not. Where somebody was faster, or the tool has no
 * room, they would look in vain one after the other; the end of a lease gives a hint of its own.
 */
async function passOn({ store, givenFor }: Parts, place: Place, full: ReadonlySet<string>): Promise<void> {
  const tool_id = place.owed()
  if (tool_id === null) return
  const { now } = givenFor(OWN_CALL)
  if (full.has(tool_id) || !(await store.hasQueued(tool_id, now))) place.drop()
  else place.pass()
}

/** One look, with the tools that have work and no room. */
async function claimOnce(
  { write, givenFor, hub }: Parts,
  call: Call<ClaimResult>,
  body: ClaimExecutionRequests,
): Promise<{ outcome: Outcome<ClaimResult>; full: ReadonlySet<string> }> {
  const { worker_id, tools, max } = body
  const { now } = givenFor(call)
  const { projects } = call.caller
  const limit = max ?? 1
  const scope: Scope = { worker_id, queue: { worker_id, tools, limit, now, projects }, system: 'circuits' }
  let full: ReadonlySet<string> = new Set()
  const outcome = await write(call, scope, (before, given) => {
    const { result, ...decision } = claimRequests(before, given, body)
    return {
      ...decision,
      result: (seqs) => {
        const taken = result(seqs)
        full = taken.full
        hub.starved(full) // before the commit: the end of a lease may be next in the same group
        return { items: taken.items }
      },
    }
  })
  return { outcome, full }
}

/** What the end of a request may end with it: its run, with all that is open there, and what needs it. */
const endScope = (execution_request_id: string): Scope => ({
  execution_request_id,
  lease: true,
  open: true,
  dependents: 'all',
  fallback: true,
  system: true,
})

/** Keeps the lease, and passes on what the worker says of its attempt. */
async function beat(
  { store, givenFor, hub }: Parts,
  caller: Caller,
  execution_request_id: string,
  body: Heartbeat,
): Promise<HeartbeatResult> {
  const given = givenFor({ ...OWN_CALL, caller })
  let held = null as Pick<Snapshot, 'request' | 'lease'> | null
  const result = await store.change({ execution_request_id, lease: true }, (before) => {
    held = before
    return heartbeat(before, given, body)
  })
  if (result.lease_lost) return result
  const { run_id, project_id } = held!.request! // whose lease was just kept
  const { step_attempt_id } = held!.lease!
  const reporting = { run_id, project_id, step_attempt_id, execution_request_id }
  const news = hub.reports.said(body, reporting, given.now)
  if (news !== null) hub.reported(news)
  return result
}

const leaseCases = (parts: Parts) => {
  const { givenFor, write } = parts
  return {
    heartbeatExecutionRequest: (caller, execution_request_id, body) =>
      beat(parts, caller, execution_request_id, body),
    completeExecutionRequest(call, execution_request_id, body, claim_next) {
      const { projects } = call.caller
      const next = claim_next ? { next: { now: givenFor(call).now, projects } } : {}
      const scope: Scope = {
        execution_request_id,
        lease: true,
        dependents: 'next',
        system: 'circuits',
        ...next,
      }
      return write(call, scope, (before, given) => completeRequest(before, given, body, claim_next))
    },
    failExecutionRequest: (call, execution_request_id, body) =>
      write(call, endScope(execution_request_id), (before, given) => failRequest(before, given, body)),
    rejectExecutionRequest: (call, execution_request_id, body) =>
      write(call, endScope(execution_request_id), (before, given) => rejectRequest(before, given, body)),
    releaseExecutionRequest: (call, execution_request_id, body) =>
      write(call, endScope(execution_request_id), (before, given) => releaseRequest(before, given, body)),
  } satisfies Partial<DispatchCases>
}

function sweeper({ store, givenFor, write, hub }: Parts): DispatchCases['sweep'] {
  let looked = ''
  const reassignment = createReassignment({ store, write, hub })
  return async () => {
    const { now } = givenFor(OWN_CALL)
    const recovering = await store.recoveringTools(looked, now)
    const resumed = await store.resumedTools(looked, now)
    const available = await store.availableTools(looked, now)
    looked = now
    for (const tool_id of [...available, ...recovering]) hub.waiters.offer(tool_id)
    if (resumed.length > 0) hub.waiters.offerAll()
    if (recovering.length + resumed.length > 0) reassignment.beginAll()
    const due = await store.dueRequests(now, LIMITS.sweep_batch)
    await Promise.all(
      due.map((execution_request_id) => write(OWN_WRITE, endScope(execution_request_id), expireRequest)),
    )
    return (await reassignment.step(now)) ? now : store.nextDue(now)
  }
}
