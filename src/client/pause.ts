import { setTimeout as timeout } from 'node:timers/promises'

/** So long, or until the signal fires. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  const options = signal === undefined ? {} : { signal }
  await timeout(ms, undefined, options).catch(() => {}) // it rejects with the signal and nothing else
}
