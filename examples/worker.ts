// The loop of a worker with a client that is generated from the OpenAPI document: claim, run, keep the lease, report.
//
//     npx openapi-ts --file examples/client.config.mjs
//     node examples/worker.ts http://127.0.0.1:8710
//
// The first command writes examples/client/. The loop ends when there has been nothing to do for 30 s.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { client } from './client/client.gen.ts'
import * as signalbox from './client/sdk.gen.ts'
import type { ClaimedRequest } from './client/types.gen.ts'

// Seconds; heartbeats come after a third of the lease.
const { WAIT = '30', HEARTBEAT = '20', SIGNALBOX_KEY: auth } = process.env
client.setConfig({ baseUrl: process.argv[2] ?? 'http://127.0.0.1:8710', ...(auth && { auth }) })

// What a tool is, is said here; `command` and `args` of a request are for information.
const tools: Record<string, (prompt: string) => [string, ...string[]]> = {
  git: () => ['git', '--no-pager', 'diff', '--stat', 'HEAD'],
  echo: (prompt) => ['printf', '%s\\n', prompt], // not `echo`, which takes «-n» for an option
}

/** It is refused where the program is not there, or the prompt is too long for an argument. */
async function start([program, ...args]: [string, ...string[]]) {
  const child = spawn(program, args, { detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
  await once(child, 'spawn')
  return child
}

async function carryOut({ execution_request, lease_token }: ClaimedRequest): Promise<ClaimedRequest | null> {
  const { request_id, assignment, input } = execution_request
  const call = { path: { execution_request_id: request_id }, throwOnError: true } as const
  const child = await start(tools[assignment?.tool_id ?? '']!(input?.prompt ?? '')).catch(String)
  if (typeof child === 'string') {
    const error = { class: 'not_started', message: child.slice(0, 1_000) }
    await signalbox.failExecutionRequest({ ...call, body: { lease_token, error } })
    return null
  }
  const keepLease = async (): Promise<void> => {
    const { data } = await signalbox.heartbeatExecutionRequest({ ...call, body: { lease_token } })
    if (data.cancel_requested || data.lease_lost) process.kill(-child.pid!)
  }
  const heart = setInterval(() => void keepLease().catch(console.error), Number(HEARTBEAT) * 1_000)
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close'),
  ])
  clearInterval(heart)

  const tail = (printed: string): string => printed.slice(-20_000).replaceAll('\0', '\ufffd').toWellFormed()
  const report = {
    lease_token,
    stdout_tail: tail(stdout),
    stderr_tail: tail(stderr),
    exit_code: code as number | null,
  }
  if (code === 0) {
    const query = { claim_next: true }
    return (await signalbox.completeExecutionRequest({ ...call, body: report, query })).data.next
  }
  const error = { class: code === null ? 'killed' : 'tool_error' }
  await signalbox.failExecutionRequest({ ...call, body: { ...report, error } })
  return null
}

for (;;) {
  const { data } = await signalbox.claimExecutionRequests({
    body: { worker_id: 'worker.ts', tools: Object.keys(tools) },
    headers: { Prefer: `wait=${WAIT}` },
    throwOnError: true,
  })
  let [claimed]: (ClaimedRequest | null | undefined)[] = data?.items ?? [] // 204: there is nothing to do
  if (!claimed) break
  while (claimed) claimed = await carryOut(claimed)
}
