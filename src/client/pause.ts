import { setTimeout as timeout } from 'node:timers/promises'

/** So long, or until the signal fires. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await timeout(ms, undefined, { signal }).catch(() => {}) // it rejects with the signal and nothing else
}
