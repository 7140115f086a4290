import { Unanswered } from './connection.ts'
import { pause } from './pause.ts'

const FIRST_MS = 200
const CAP_MS = 10_000
const RETRY_AFTER_CAP_MS = 30_000

/** How long to wait after so many failures: doubled each time, and never the same for two clients. */
export function backOff(failures: number, error: Unanswered): number {
  const cap = Math.min(CAP_MS, FIRST_MS * 2 ** Math.min(failures - 1, 10))
  const jittered = cap * (0.5 + Math.random() / 2)
  return jittered + Math.min(error.retry_after_ms, RETRY_AFTER_CAP_MS)
}

/**
 * Does it until it is answered: for what may safely be repeated.
 * @throws Refused, or the last Unanswered once the signal has fired
 */
export async function persist<T>(
  attempt: () => Promise<T>,
  { signal, onFailure }: { signal: AbortSignal; onFailure: (error: Unanswered, failures: number) => void },
): Promise<T> {
  for (let failures = 1; ; failures++) {
    try {
      return await attempt()
    } catch (error) {
      if (!(error instanceof Unanswered) || signal.aborted) throw error
      onFailure(error, failures)
      await pause(backOff(failures, error), signal)
      if (signal.aborted) throw error
    }
  }
}
