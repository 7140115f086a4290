import { Unanswered } from '../client/connection.ts'
import { backOff } from '../client/patience.ts'
import { pause } from '../client/pause.ts'
import type { ClaimedRequest } from '../contract/dispatch.ts'
import type { Client } from './client.ts'

/** Heartbeats in a lease: two may be lost before it is. */
const HEARTBEATS = 3

export interface KeeperOptions {
  client: Client
  claimed: ClaimedRequest
  lease_seconds: number
  /** The latest of what the program has printed. */
  output: () => string
  onCancel: () => void
  /** It is no longer ours: what the program does counts no more. */
  onLost: (reason: string) => void
  onAway: (error: Unanswered) => void
}

/** Sends heartbeats until it is stopped, or the lease is lost, whatever the program does meanwhile. */
export function keepLease(options: KeeperOptions): { stop: () => void } {
  const stopped = new AbortController()
  void beat(options, stopped.signal)
  return { stop: () => stopped.abort() }
}

async function beat(
  { client, claimed, lease_seconds, output, onCancel, onLost, onAway }: KeeperOptions,
  signal: AbortSignal,
): Promise<void> {
  const { lease_token, execution_request } = claimed
  const every_ms = Math.floor((lease_seconds * 1_000) / HEARTBEATS)
  // The server counts from an earlier instant: once this is over, no heartbeat can bring the lease back.
  let lease_end = performance.now() + lease_seconds * 1_000
  let wait = every_ms
  let told = ''
  for (let failures = 0; ;) {
    await pause(wait, signal)
    if (signal.aborted) return
    try {
      const asking = { signal, timeout_ms: every_ms }
      const latest = output()
      const news = latest === told ? {} : { output: latest }
      const { body } = await client.heartbeat(execution_request.request_id, { lease_token, ...news }, asking)
      if (signal.aborted) return
      if (body.lease_lost) return onLost('the server says so')
      if (body.cancel_requested) onCancel()
      lease_end = performance.now() + lease_seconds * 1_000
      told = latest
      wait = every_ms
      failures = 0
    } catch (error) {
      if (signal.aborted) return
      if (!(error instanceof Unanswered)) return onLost((error as Error).message)
      const left = lease_end - performance.now()
      if (left <= 0) return onLost('no heartbeat was answered until the lease ended')
      onAway(error)
      wait = Math.min(backOff(++failures, error), every_ms, left)
    }
  }
}
