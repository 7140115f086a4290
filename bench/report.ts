import type { Figure, Sample } from './plan.ts'
import type { Measured } from './loads.ts'
import type { Starts } from './start.ts'

export type Verdict = 'goal met' | 'must met' | 'below must' | 'not measured'

export interface Finding {
  figure: Figure
  ratio: number
  /** The least and the most of the rounds. */
  low: number
  high: number
  verdict: Verdict
}

/** A ratio for each round, of what was measured one right after the other; then their median. */
export function find(figure: Figure, over: readonly number[], under: readonly number[] | null): Finding {
  const ratios = over.map((value, round) => value / (under === null ? 1 : under[round]!))
  const ratio = median(ratios)
  return {
    figure,
    ratio,
    low: Math.min(...ratios),
    high: Math.max(...ratios),
    verdict: verdictOn(figure, ratio),
  }
}

function verdictOn({ must, goal, better }: Figure, ratio: number): Verdict {
  if (Number.isNaN(ratio)) return 'not measured'
  const reaches = (bound: number): boolean => (better === 'more' ? ratio >= bound : ratio <= bound)
  if (reaches(goal)) return 'goal met'
  return reaches(must) ? 'must met' : 'below must'
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

export function figureTable(findings: readonly Finding[]): string {
  const rows = findings.map(({ figure, ratio, low, high, verdict }) => {
    const bound = figure.better === 'more' ? '≥' : '≤'
    return [
      figure.name,
      figure.title,
      short(ratio),
      `${short(low)}–${short(high)}`,
      `${bound} ${short(figure.must)}`,
      `${bound} ${short(figure.goal)}`,
      verdict,
    ]
  })
  return table(['name', 'figure', 'measured', 'rounds', 'must', 'goal', 'verdict'], rows)
}

/** What stands behind the ratios: the median of each value on each side. */
export function rawTable(measured: ReadonlyMap<string, Measured>): string {
  if (measured.size === 0) return ''
  const rows = [...measured].flatMap(([load, { samples }]) =>
    Object.entries(samples).map(([side, rounds]) => {
      const of = (value: keyof Sample) => median(rounds.map((sample) => sample[value]))
      return [
        load,
        side,
        whole(of('rate')),
        whole(of('cpu_us')),
        short(of('p50_ms')),
        short(of('p99_ms')),
        whole(of('commits_per_s')),
        short(of('writes_per_commit')),
        whole(of('rss_mb')),
        percent(of('client_share')),
        percent(of('foreign_share')),
      ]
    }),
  )
  const heads = ['load', 'side', 'req/s', 'CPU µs/req', 'p50 ms', 'p99 ms', 'commits/s', 'writes/commit']
  return table([...heads, 'RSS MB', 'client core', 'others'], rows)
}

export function startTable(starts: Starts | null): string {
  if (starts === null) return ''
  const rows = Object.entries(starts).map(([side, rounds]) => [
    side,
    whole(median(rounds.map(({ start_ms }) => start_ms))),
    whole(median(rounds.map(({ idle_rss_mb }) => idle_rss_mb))),
  ])
  return table(['start', 'ms until it listens', 'idle RSS MB'], rows)
}

const short = (value: number): string => (Number.isNaN(value) ? '–' : value.toPrecision(value < 1 ? 2 : 3))
const whole = (value: number): string => (Number.isNaN(value) ? '–' : String(Math.round(value)))
const percent = (value: number): string => (Number.isNaN(value) ? '–' : `${Math.round(value * 100)} %`)

function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = heads.map((head, i) => Math.max(head.length, ...rows.map((row) => row[i]!.length)))
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, i) => cell.padEnd(widths[i]!))
      .join('  ')
      .trimEnd()
  return [line(heads), line(widths.map((width) => '─'.repeat(width))), ...rows.map(line)].join('\n')
}
