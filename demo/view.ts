import { spanText } from '../src/cli/layout.ts'
import type { PlanNode, PlanProgress, RunPlan } from '../src/contract/run-plan.ts'

export interface View {
  show(plan: RunPlan): void
}

const LOOKS = {
  blocked: { mark: '·', color: 2 },
  queued: { mark: '·', color: 2 },
  claimed: { mark: '▶', color: 36 },
  again: { mark: '↻', color: 33 },
  succeeded: { mark: '✓', color: 32 },
  failed: { mark: '✗', color: 31 },
  canceled: { mark: '✗', color: 33 },
}

/** Drawn anew with each look on a terminal; elsewhere a line for each change. */
export function createView(out: NodeJS.WriteStream, env: NodeJS.ProcessEnv): View {
  const canRedraw = out.isTTY && env['TERM'] !== 'dumb'
  return canRedraw ? liveView(out, !env['NO_COLOR']) : lineView(out)
}

function lineView(out: NodeJS.WritableStream): View {
  const since = performance.now()
  const said = new Map<string, string>()
  return {
    show({ nodes, progress }) {
      for (const node of nodes) {
        const { task_id, tool_id, state, attempts } = node
        const now = `${state} ${attempts} ${tool_id}`
        if (said.get(task_id) === now) continue
        said.set(task_id, now)
        const at = spanText(performance.now() - since).padStart(7)
        const done = `${progress.done} of ${progress.total}`.padStart(8)
        out.write(`${at}  ${done}  ${task_id.padEnd(9)}  ${toolText(node)}  ${stateText(node)}\n`)
      }
    },
  }
}

const toolText = ({ tool_id }: PlanNode): string => (tool_id ?? '–').padEnd(12)

function stateText(node: PlanNode): string {
  const { state, attempts, blocked_by } = node
  if (isValidated(node)) return 'waits for its validator'
  if (state === 'blocked') return `waits for ${blocked_by.join(', ')}`
  if (isTriedAgain(node)) return 'waits for its next attempt'
  // Those that have ended are counted.
  if (state === 'claimed') return attempts > 0 ? `running, attempt ${attempts + 1}` : 'running'
  return state
}

/** What waits for other tasks has no tool yet. */
const isValidated = ({ state, tool_id }: PlanNode): boolean => state === 'blocked' && tool_id !== null

const isTriedAgain = ({ state, attempts }: PlanNode): boolean => state === 'queued' && attempts > 0

function liveView(out: NodeJS.WriteStream, hasColor: boolean): View {
  let drawn = 0
  return {
    show({ nodes, progress }) {
      const width = Math.max(0, out.columns - 1) // a longer line would be two
      const bar = barLine(progress).slice(0, width)
      const lines = [bar, '', ...nodes.map((node) => liveLine(node, width, hasColor))]
      const up = drawn === 0 ? '' : `\x1b[${drawn}A`
      out.write(`${up}\r${lines.map((line) => `${line}\x1b[K\n`).join('')}`)
      drawn = lines.length
    },
  }
}

const BAR_WIDTH = 30

function barLine({ total, done, percent, running, queued, blocked }: PlanProgress): string {
  const filled = Math.floor((BAR_WIDTH * done) / total)
  const bar = '█'.repeat(filled).padEnd(BAR_WIDTH, '░')
  const rest = `${running} running, ${queued} queued, ${blocked} blocked`
  return `${bar} ${String(percent).padStart(3)} %  ${done} of ${total} done, ${rest}`
}

function lookOf(node: PlanNode): keyof typeof LOOKS {
  if (isTriedAgain(node)) return 'again'
  return isValidated(node) ? 'claimed' : node.state
}

function liveLine(node: PlanNode, width: number, hasColor: boolean): string {
  const { mark, color } = LOOKS[lookOf(node)]
  const elapsed = node.duration_ms === null ? '' : spanText(node.duration_ms)
  const text = `${mark} ${node.task_id.padEnd(9)}  ${toolText(node)}  ${elapsed.padStart(7)}  ${stateText(node)}`
  const cut = `${text.padEnd(62)}  ${node.name}`.slice(0, width)
  return hasColor ? `\x1b[${color}m${cut}\x1b[0m` : cut
}
