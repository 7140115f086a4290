import { pause } from '../client/pause.ts'
import { cutToColumns } from './columns.ts'
import type { Device } from './device.ts'
import type { Log } from './log.ts'
import type { Running } from './worker.ts'

export interface Screen {
  log: Log
  /** From now on shows what runs. */
  show(running: ReadonlySet<Running>): void
  /** Settles when all is written, or after a moment where a terminal stands still. */
  close(): Promise<void>
}

/** One JSON object per line, for machines. */
export function jsonLines(stream: NodeJS.WritableStream, now: () => string): Screen {
  return {
    log: (level, msg, facts = {}) =>
      void stream.write(`${JSON.stringify({ level, time: now(), msg, ...facts })}\n`),
    show: () => {},
    close: () => Promise.resolve(),
  }
}

const REDRAW_MS = 1_000
/** How long a terminal that stands still holds up the end of the process. */
const LAST_FRAME_MS = 500
/** How much of what happened is kept for a terminal that stands still. */
export const KEPT_MESSAGES = 1_000
const CLEAR_BELOW = '\x1b[0J'
const up = (lines: number): string => (lines === 0 ? '\r' : `\x1b[${lines}A\r`)

/** What happened, line by line, and below it a line for each slot as far as there is room, drawn anew each second. */
export function terminal(device: Device, now: () => string, concurrency: number): Screen {
  const since = new WeakMap<Running, number>()
  const messages = createMessages()
  let running: ReadonlySet<Running> = new Set()
  let drawn = 0
  let isClosing = false

  const slots = (): string[] => {
    const lines = [...running].map((one) => slotLine(one, performance.now() - (since.get(one) ?? 0)))
    const idle = Array.from({ length: Math.max(0, concurrency - lines.length) }, () => '  · idle')
    return [...lines, ...idle]
  }
  const painter = createPainter(device, () => {
    const { columns, rows } = device.size()
    const room = rows - 1 // the cursor stands in the last row, and comes back no further than to the first
    const below = isClosing ? [] : fitted(slots(), room).map((line) => cutToColumns(line, columns - 1))
    const back = up(Math.min(drawn, room))
    drawn = below.length
    return back + CLEAR_BELOW + [...messages.take(), ...below].map((line) => `${line}\n`).join('')
  })
  const draw = (): void => {
    // Not when it is drawn: a terminal that stands still does not make a program younger.
    for (const one of running) if (!since.has(one)) since.set(one, performance.now())
    painter.draw()
  }
  const timer = setInterval(draw, REDRAW_MS).unref()
  device.onResize(draw)
  return {
    log(level, msg, facts = {}) {
      messages.add(`${now().slice(11, 19)} ${level === 'info' ? '' : `${level}: `}${msg}${said(facts)}`)
      draw()
    },
    show(now_running) {
      running = now_running
      draw()
    },
    async close() {
      clearInterval(timer)
      isClosing = true
      painter.draw()
      const over = new AbortController()
      await Promise.race([painter.idle(), pause(LAST_FRAME_MS, over.signal)])
      over.abort()
      device.close()
    },
  }
}

/** One frame at a time. While the terminal does not take it none is made; then the newest follows. */
function createPainter(device: Device, frame: () => string) {
  let isBusy = false
  let isStale = false
  let onIdle = (): void => {}
  const draw = (): void => {
    isStale = isBusy
    if (isBusy) return
    isBusy = true
    device.write(frame(), () => {
      isBusy = false
      if (isStale) draw()
      else onIdle()
    })
  }
  return {
    draw,
    /** Settles once the terminal has taken the newest frame. */
    idle: (): Promise<void> => new Promise((resolve) => (isBusy ? (onIdle = resolve) : resolve())),
  }
}

/** What is still to be printed, in its order; where there is too much of it, the oldest is left out and counted. */
function createMessages() {
  let lines: string[] = []
  let left_out = 0
  return {
    add(line: string): void {
      lines.push(line)
      if (lines.length <= KEPT_MESSAGES) return
      lines.shift()
      left_out++
    },
    take(): string[] {
      const taken = left_out === 0 ? lines : [`… ${left_out} lines left out`, ...lines]
      lines = []
      left_out = 0
      return taken
    },
  }
}

function fitted(lines: string[], room: number): string[] {
  if (lines.length <= room) return lines
  const shown = Math.max(0, room - 1)
  return [...lines.slice(0, shown), `  … and ${lines.length - shown} more`].slice(0, room)
}

function slotLine({ claimed }: Running, elapsed_ms: number): string {
  const { request_id, task_kind, task_id } = claimed.execution_request
  const task = task_id === null ? task_kind : `${task_kind} ${task_id}`
  return `  ▶ ${elapsed(elapsed_ms)}  ${printable(claimed.step_attempt.tool_id)}  ${printable(task)}  ${request_id}`
}

function elapsed(ms: number): string {
  const seconds = Math.floor(ms / 1_000)
  const two = (value: number) => String(value).padStart(2, '0')
  const hours = Math.floor(seconds / 3_600)
  return `${hours > 0 ? `${hours}:` : ''}${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`
}

const said = (facts: Record<string, unknown>): string =>
  Object.entries(facts)
    .filter(([, value]) => value !== null && typeof value !== 'object')
    .map(([key, value]) => ` ${key}=${printable(String(value))}`)
    .join('')

/** Names come from others, and could hold what moves a terminal's cursor. */
const printable = (text: string): string => text.replaceAll(/\p{C}/gu, '?')
