/** How long somebody may wait, and what ends the waiting early. */
export interface Patience {
  wait_ms: number
  signal: AbortSignal
}

/** Settles when the time is over, when the signal says so, or when what `handOut` was given is called. */
export async function untilWoken(
  { wait_ms, signal }: Patience,
  handOut: (wake: () => void) => void,
): Promise<void> {
  await new Promise<void>((resolve) => {
    const wake = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', wake)
      resolve()
    }
    const timer = setTimeout(wake, wait_ms)
    signal.addEventListener('abort', wake)
    handOut(wake)
  })
}
