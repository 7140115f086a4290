import type { ExecutionRequest, RequestProgress } from '../contract/execution-request.ts'
import { LIMITS } from '../contract/limits.ts'
import type { Diagnosis, Finding, HeldRequest } from '../contract/worker.ts'
import { type Circuit, isBarred } from './circuit.ts'
import type { Given, Lease, Snapshot } from './decision.ts'
import { visibleRequest } from './guard.ts'
import type { Obstacle } from './plan-facts.ts'
import type { Surroundings } from './queue-facts.ts'
import { isPaused } from './tool-record.ts'
import { isUnderValidation } from './validation-facts.ts'

/** A lease as it is shown: without what proves it. */
export const shownLease = ({ token_hash: _, lease_seconds: __, ...lease }: Lease): HeldRequest => lease

/** The scope must load the request with its lease, its surroundings and what it waits for. */
export function diagnose(before: Snapshot, given: Pick<Given, 'now' | 'caller'>): Diagnosis {
  const { request } = visibleRequest(before, given)
  return {
    execution_request_id: request.request_id,
    state: request.state,
    findings: findingsOf(before, request, given.now),
  }
}

function findingsOf(
  { lease, surroundings, plan, validation }: Snapshot,
  request: ExecutionRequest,
  now: string,
): Finding[] {
  switch (request.state) {
    case 'succeeded':
    case 'failed':
    case 'canceled':
      return [finding('ended', `It ended ${request.state}: ${request.stop_reason}.`)]
    case 'blocked':
      return isUnderValidation(request)
        ? [finding('validating', looking(validation.open))]
        : [finding('blocked', waitsFor(plan.obstacles))]
    case 'claimed':
      return lease === null ? [] : held(request, lease)
    case 'queued':
      return surroundings === null ? [] : waiting(request, surroundings, now)
  }
}

function waitsFor(obstacles: readonly Obstacle[]): string {
  if (obstacles.length === 0) return 'All that it needs has succeeded; it is about to be given to a tool.'
  const named = obstacles.map(({ task_id, state }) => `${task_id} (${state})`).join(', ')
  const more = obstacles.length === LIMITS.listed_ids ? ', and perhaps more' : ''
  return `It waits for these tasks to succeed: ${named}${more}.`
}

function looking(open: readonly RequestProgress[]): string {
  const named = open
    .filter(({ validates }) => validates!.required)
    .slice(0, LIMITS.listed_ids)
    .map(
      ({ request_id, state, assignment }) =>
        `${assignment?.tool_id ?? 'a tool that is not there'} (${state}, ${request_id})`,
    )
  return `The work is done. It waits for these validators to succeed: ${named.join(', ')}.`
}

function held({ cancel_requested_at }: ExecutionRequest, lease: Lease): Finding[] {
  const { worker_id, heartbeat_at, lease_expires_at } = lease
  const told = `${worker_id} holds it, and was last heard of at ${heartbeat_at}.`
  const found = finding('held', told, { until: lease_expires_at, held_by: [shownLease(lease)] })
  if (cancel_requested_at === null) return [found]
  const asked = `Its worker was asked at ${cancel_requested_at} to stop, and has not said that it did.`
  return [finding('canceling', asked, { until: lease_expires_at }), found]
}

function waiting(request: ExecutionRequest, around: Surroundings, now: string): Finding[] {
  const { tool, holders, ahead, asked } = around
  const { tool_id } = request.assignment! // what is queued has a tool
  const findings: Finding[] = []
  if (isPaused(tool.pause, now)) {
    const { reason, until } = tool.pause!
    findings.push(finding('tool_paused', `The tool ${tool_id} is paused: ${reason}.`, { until }))
  }
  if (isBarred(tool.book.circuit, now)) findings.push(circuitFinding(tool_id, tool.book.circuit))
  if (request.available_at > now) {
    const told = `It may be claimed from ${request.available_at} on.`
    findings.push(finding('waiting_until', told, { until: request.available_at }))
  }
  if (tool.max_parallel !== null && tool.leased >= tool.max_parallel) {
    const told = `The tool ${tool_id} does ${tool.leased} at a time, and may do no more.`
    findings.push(finding('at_max_parallel', told, { held_by: holders.map(shownLease) }))
  }
  if (asked === null || request.rejected_by.includes(asked.worker_id)) {
    const told =
      asked === null
        ? `No worker asks for the tool ${tool_id} now. Start one that names it.`
        : `Every worker that asks for the tool ${tool_id} has rejected this request. Start another that names it.`
    return [...findings, finding('no_worker', told)]
  }
  if (ahead > 0) findings.push(finding('behind_others', `${aheadOf(ahead)} of the same tool come first.`))
  if (findings.length > 0) return findings
  const last = `${asked.worker_id}, which asks for the tool ${tool_id}, was last seen at ${asked.last_seen_at}.`
  return [finding('worker_expected', `${last} It should take it with its next claim.`)]
}

function circuitFinding(tool_id: string, { state, open_until }: Circuit): Finding {
  if (state === 'open') {
    const told = `The circuit of the tool ${tool_id} is open: it lets one attempt through from ${open_until} on.`
    return finding('circuit_open', told, { until: open_until })
  }
  const told = `The circuit of the tool ${tool_id} is half open: it has let one attempt through, and waits for its end.`
  return finding('circuit_open', told)
}

const aheadOf = (count: number): string =>
  count >= LIMITS.counted_ahead ? `At least ${LIMITS.counted_ahead} requests` : `${count} request(s)`

const finding = (
  code: Finding['code'],
  detail: string,
  { until = null, held_by = [] }: Partial<Pick<Finding, 'until' | 'held_by'>> = {},
): Finding => ({ code, detail, until, held_by })
