/** Why the demo cannot go on, in words for whoever started it. */
export class DemoFailed extends Error {}

/** It has taken too long. */
export class TooLate extends DemoFailed {}

/** Somebody wants it to end. */
export class Interrupted extends Error {
  readonly signal: NodeJS.Signals

  constructor(signal: NodeJS.Signals) {
    super(`ended by ${signal}`)
    this.signal = signal
  }
}

/** Settles as soon as the signal has fired. */
export const untilStopped = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })

/** @throws the reason of the signal, as soon as it has fired */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const broken = (): void => {
      clearTimeout(timer)
      reject(signal.reason as Error) // only ours are given
    }
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', broken)
      resolve()
    }, ms)
    if (signal.aborted) broken()
    else signal.addEventListener('abort', broken, { once: true })
  })
}
