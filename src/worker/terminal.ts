import type { Log } from './log.ts'
import type { Running } from './worker.ts'

export interface Screen {
  log: Log
  /** From now on shows what runs. */
  show(running: ReadonlySet<Running>): void
  close(): void
}

/** One JSON object per line, for machines. */
export function jsonLines(stream: NodeJS.WritableStream, now: () => string): Screen {
  return {
    log: (level, msg, facts = {}) =>
      void stream.write(`${JSON.stringify({ level, time: now(), msg, ...facts })}\n`),
    show: () => {},
    close: () => {},
  }
}

const REDRAW_MS = 1_000
const CLEAR_BELOW = '\x1b[0J'
const up = (lines: number): string => (lines === 0 ? '\r' : `\x1b[${lines}A\r`)

/** What happened, line by line, and below it a line for each slot, drawn anew each second. */
export function terminal(stream: NodeJS.WriteStream, now: () => string, concurrency: number): Screen {
  const since = new WeakMap<Running, number>()
  let running: ReadonlySet<Running> = new Set()
  let drawn = 0

  const slots = (): string => {
    const lines = [...running].map((one) => {
      if (!since.has(one)) since.set(one, performance.now())
      return slotLine(one, performance.now() - (since.get(one) ?? 0))
    })
    const idle = Array.from({ length: Math.max(0, concurrency - lines.length) }, () => '  · idle')
    return [...lines, ...idle].map((line) => `${line.slice(0, stream.columns - 1)}\n`).join('')
  }
  const draw = (above: string): void => {
    const below = slots()
    stream.write(up(drawn) + CLEAR_BELOW + above + below)
    drawn = below.split('\n').length - 1
  }
  const timer = setInterval(() => draw(''), REDRAW_MS).unref()
  return {
    log: (level, msg, facts = {}) =>
      draw(`${now().slice(11, 19)} ${level === 'info' ? '' : `${level}: `}${msg}${said(facts)}\n`),
    show(now_running) {
      running = now_running
      draw('')
    },
    close() {
      clearInterval(timer)
      stream.write(up(drawn) + CLEAR_BELOW)
    },
  }
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
