import type { ExecutionRequest } from '../src/contract/execution-request.ts'
import { type DemoTask } from './tasks.ts'
import { type Snapshot, attemptsOf } from './watch.ts'

export interface View {
  show(snapshot: Snapshot): void
  /** Nothing is drawn after this; what was drawn stays. */
  close(): void
}

/** One task at one instant. */
interface Row {
  task_id: string
  title: string
  tool: string
  state: keyof typeof LOOKS
  attempts: number
  /** Of its newest attempt, up to now if it runs. */
  elapsed_ms: number | null
}

const LOOKS = {
  queued: { mark: '·', color: 2 },
  running: { mark: '▶', color: 36 },
  'waits for its next attempt': { mark: '↻', color: 33 },
  succeeded: { mark: '✓', color: 32 },
  failed: { mark: '✗', color: 31 },
  canceled: { mark: '✗', color: 33 },
}

export const secondsOf = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`

/** Drawn anew with each look on a terminal; elsewhere a line for each change. */
export function createView(
  tasks: readonly DemoTask[],
  out: NodeJS.WriteStream,
  env: NodeJS.ProcessEnv,
): View {
  const canRedraw = out.isTTY && env['TERM'] !== 'dumb'
  return canRedraw ? liveView(tasks, out, !env['NO_COLOR']) : lineView(tasks, out)
}

function lineView(tasks: readonly DemoTask[], out: NodeJS.WritableStream): View {
  const since = performance.now()
  const said = new Map<string, string>()
  return {
    show(snapshot) {
      for (const row of rowsOf(tasks, snapshot)) {
        const now = stateText(row)
        if (said.get(row.task_id) === now) continue
        said.set(row.task_id, now)
        const at = secondsOf(performance.now() - since).padStart(7)
        out.write(`${at}  ${row.task_id.padEnd(9)}  ${row.tool.padEnd(10)}  ${now}\n`)
      }
    },
    close: () => {},
  }
}

const stateText = ({ state, attempts }: Row): string =>
  state === 'running' && attempts > 1 ? `running, attempt ${attempts}` : state

function liveView(tasks: readonly DemoTask[], out: NodeJS.WriteStream, hasColor: boolean): View {
  let drawn = 0
  return {
    show(snapshot) {
      const lines = rowsOf(tasks, snapshot).map((row) => liveLine(row, out.columns, hasColor))
      const up = drawn === 0 ? '' : `\x1b[${drawn}A`
      out.write(`${up}\r${lines.map((line) => `${line}\x1b[K\n`).join('')}`)
      drawn = lines.length
    },
    close: () => {},
  }
}

function liveLine(row: Row, columns: number, hasColor: boolean): string {
  const { mark, color } = LOOKS[row.state]
  const elapsed = row.elapsed_ms === null ? '' : secondsOf(row.elapsed_ms)
  const text = `${mark} ${row.task_id.padEnd(9)}  ${row.tool.padEnd(10)}  ${elapsed.padStart(7)}  ${stateText(row)}`
  const cut = `${text.padEnd(60)}  ${row.title}`.slice(0, Math.max(0, columns - 1)) // a longer one would be two lines
  return hasColor ? `\x1b[${color}m${cut}\x1b[0m` : cut
}

function rowsOf(tasks: readonly DemoTask[], snapshot: Snapshot): Row[] {
  return tasks.flatMap(({ task_id, title }) => {
    const request = snapshot.requests.find((each) => each.task_id === task_id)
    if (request === undefined) return []
    const attempts = attemptsOf(snapshot, request)
    const last = attempts.at(-1)
    const end = last?.ended_at == null ? Date.now() : Date.parse(last.ended_at)
    return {
      task_id,
      title,
      tool: request.assignment?.tool_id ?? '–',
      state: stateOf(request),
      attempts: attempts.length,
      elapsed_ms: last === undefined ? null : Math.max(0, end - Date.parse(last.started_at)),
    }
  })
}

function stateOf({ state, attempts }: ExecutionRequest): Row['state'] {
  switch (state) {
    case 'blocked':
      return 'queued'
    case 'queued':
      return attempts > 0 ? 'waits for its next attempt' : 'queued'
    case 'claimed':
      return 'running'
    case 'succeeded':
    case 'failed':
    case 'canceled':
      return state
  }
}
