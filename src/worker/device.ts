import { constants, openSync, write } from 'node:fs'

/** A terminal that may stand still (Ctrl-S, a connection that stalls) without holding up whoever writes to it. */
export interface Device {
  size(): { columns: number; rows: number }
  onResize(listener: () => void): void
  /** Calls back once the terminal has taken all of it; until then, nothing else may be written. */
  write(text: string, taken: () => void): void
  /** Forgets what the terminal has not taken yet. */
  close(): void
}

/** What is needed of `process.stdout`. */
export interface TerminalStream {
  fd: number
  columns: number
  rows: number
  on(event: 'resize', listener: () => void): unknown
  destroy(error: Error): unknown
}

/** After how long a terminal that took nothing is asked again. */
const RETRY_MS = 50
/** What the terminals have that do not say how large they are. */
const COLUMNS = 80
const ROWS = 24

/** What goes wrong is an `error` of the stream, once; from then on nothing is taken. */
export function openDevice(stream: TerminalStream): Device {
  const descriptor = openAnew(stream.fd)
  let retry: NodeJS.Timeout | undefined
  let isOpen = true

  const put = (rest: Buffer, taken: () => void): void => {
    write(descriptor, rest, (error, count) => {
      if (!isOpen) return
      if (error?.code === 'EAGAIN') retry = setTimeout(put, RETRY_MS, rest, taken)
      else if (error !== null) stream.destroy(error)
      else if (count < rest.length) put(rest.subarray(count), taken)
      else taken()
    })
  }
  return {
    size: () => ({ columns: stream.columns || COLUMNS, rows: stream.rows || ROWS }),
    onResize: (listener) => void stream.on('resize', listener),
    write: (text, taken) => put(Buffer.from(text), taken),
    close() {
      isOpen = false // the descriptor is left to the end of the process: a write may still be under way
      clearTimeout(retry)
    },
  }
}

/**
 * The same terminal, refusing at once what it cannot take. The descriptor that is there waits, and it is shared with
 * others who rely on that. A thread of Node's pool could wait in place of the event loop, but neither process.exit nor
 * an empty event loop ends a process while one does.
 */
function openAnew(descriptor: number): number {
  // /proc is Linux alone. There too a terminal may be somebody else's, as after su; that of the session is open to all.
  for (const path of [`/proc/self/fd/${descriptor}`, '/dev/tty']) {
    try {
      return openSync(path, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY)
    } catch {
      continue
    }
  }
  return descriptor // then a thread of the pool does wait, one at most
}
