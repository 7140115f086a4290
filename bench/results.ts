import { statfsSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { CACHE } from './build.ts'
import type { Measured } from './loads.ts'
import {
  type BacktestSample,
  type Figure,
  type LoadName,
  NO_OP_FLOOR,
  type Sample,
  type SideName,
  type StreamSample,
  type WaitingSample,
} from './plan.ts'
import type { PlanSample } from './plan-figures.ts'
import { canPin } from './processes.ts'
import { type Finding, figureTable, find, median, rawTable, startTable } from './report.ts'
import type { Starts } from './start.ts'

export interface Everything {
  measured: Map<LoadName, Measured>
  starts: Starts | null
  backtests: BacktestSample[] | null
  plans: PlanSample[] | null
  waiting: WaitingSample[] | null
  streams: StreamSample[] | null
  rounds: number
  round_ms: number
  /** Whether nothing was left out. */
  isWhole: boolean
}

/** Prints and keeps what was found. @returns the exit code */
export function conclude(figures: readonly Figure[], all: Everything): number {
  const findings = figures.map((figure) => find(figure, ...valuesOf(figure, all)))
  const no_op_to_bare = noOpToBare(all)
  const faults = [...all.measured.values()].flatMap((measured) => measured.faults)
  if (isTooSlow(no_op_to_bare, all)) {
    faults.push(`the no-op is slow itself, so whatever is compared with it looks better than it is`)
  }
  const notes = notesOn(all)
  const tables = [
    figureTable(findings),
    floorLine(no_op_to_bare),
    rawTable(all.measured),
    startTable(all.starts),
  ]
  process.stdout.write(`\n${tables.filter((text) => text !== '').join('\n\n')}\n\n`)
  for (const note of notes) process.stdout.write(`Note: ${note}\n`)
  for (const fault of faults) process.stdout.write(`NOT COMPARABLE: ${fault}\n`)
  writeResults(all, { figures: findings.map(flat), no_op_to_bare, notes, faults })
  return faults.length === 0 ? 0 : 1
}

const flat = ({ figure: { name, title, must, goal, better }, ...finding }: Finding) => ({
  ...{ name, title, ...finding, must, goal, better },
})

/** A value of both sides of a figure, round by round. */
function valuesOf(
  figure: Figure,
  { measured, starts, backtests, plans, waiting, streams }: Everything,
): [number[], number[] | null] {
  if (figure.load === 'start') {
    const of = (side: keyof Starts) => starts?.[side].map((sample) => sample[figure.value]) ?? []
    return [of(figure.over), of(figure.under)]
  }
  if (figure.load === 'backtest') return [backtests?.map((sample) => sample[figure.value]) ?? [], null]
  if (figure.load === 'plans') return [plans?.map((sample) => sample[figure.value]) ?? [], null]
  if (figure.load === 'waiting') return [waiting?.map((sample) => sample[figure.value]) ?? [], null]
  if (figure.load === 'streams') return [streams?.map((sample) => sample[figure.value]) ?? [], null]
  const of = (side: SideName) => valuesIn(measured, figure.load, side, figure.value)
  const over = of(figure.over).map((value) => value / (figure.requests_each ?? 1))
  return [over, figure.under === null ? null : of(figure.under)]
}

const valuesIn = (measured: Everything['measured'], load: LoadName, side: SideName, value: keyof Sample) =>
  measured.get(load)?.samples[side]?.map((sample) => sample[value]) ?? []

/** What the no-op reaches of a bare Fastify; null if that was not measured. */
function noOpToBare({ measured }: Everything): number | null {
  const { load, over, under } = NO_OP_FLOOR
  const rates = (side: SideName) => valuesIn(measured, load, side, 'rate')
  const ratios = rates(over).map((rate, round) => rate / rates(under)[round]!)
  return ratios.length === 0 ? null : median(ratios)
}

/** One round is too few, and too cold, to accuse it. */
const isTooSlow = (ratio: number | null, { rounds }: Everything): boolean =>
  ratio !== null && rounds > 1 && ratio < NO_OP_FLOOR.must

const floorLine = (ratio: number | null): string =>
  ratio === null
    ? ''
    : `The no-op reaches ${ratio.toFixed(2)} of a bare Fastify; it must reach ${NO_OP_FLOOR.must}.`

const CLIENT_LIMIT = 0.9
const FOREIGN_LIMIT = 0.1
/** The types of tmpfs and ramfs, statfs(2). */
const IN_MEMORY = [0x01021994, 0x858458f6]

/** What a reader should know before believing the figures. */
function notesOn({ measured, isWhole }: Everything): string[] {
  const worst = (value: 'client_share' | 'foreign_share') =>
    Math.max(
      ...[...measured.values()].flatMap(({ samples }) =>
        Object.values(samples).map((rounds) => median(rounds.map((sample) => sample[value]))),
      ),
    )
  const notes = [
    'commits are counted by the server; each syncs the log once, and checkpoints sync beside them.',
  ]
  if (!isWhole) notes.push('this was not the whole bench; bench/results.json is left as it was.')
  if (!canPin)
    notes.push('processes could not be kept on cores of their own: client and server disturb each other.')
  if (IN_MEMORY.includes(statfsSync(CACHE).type)) {
    notes.push(
      `WARNING: bench/.cache is in memory, where a sync costs nothing. Every durable figure flatters.`,
    )
  }
  if (worst('client_share') > CLIENT_LIMIT) {
    notes.push('WARNING: the client used more than 90 % of its core, and may have held a side back.')
  }
  if (worst('foreign_share') > FOREIGN_LIMIT) {
    notes.push('WARNING: something else used more than 10 % of the machine. Measure again when it is quiet.')
  }
  return notes
}

function writeResults(
  { measured, starts, backtests, plans, waiting, streams, rounds, round_ms, isWhole }: Everything,
  found: object,
): void {
  const results = {
    date: new Date().toISOString(),
    node: process.version,
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    rounds,
    round_ms,
    ...found,
    loads: Object.fromEntries([...measured].map(([load, { samples }]) => [load, mapSides(samples)])),
    starts: starts === null ? null : mapSides(starts),
    backtests,
    plans,
    waiting,
    streams,
  }
  // A part must not take the place of the whole.
  const file = isWhole ? join(CACHE, '../results.json') : join(CACHE, 'results.json')
  writeFileSync(file, `${JSON.stringify(results, rounded, 2)}\n`)
}

const mapSides = (sides: Partial<Record<string, object[]>>) =>
  Object.fromEntries(
    Object.entries(sides).map(([side, samples = []]) => [
      side,
      { median: medians(samples), rounds: samples },
    ]),
  )

function medians(samples: readonly object[]): Record<string, number> {
  const names = Object.keys(samples[0] ?? {})
  const values = samples as readonly Record<string, number>[] // every member of a sample is a number
  return Object.fromEntries(names.map((name) => [name, median(values.map((sample) => sample[name]!))]))
}

const rounded = (_key: string, value: unknown): unknown =>
  typeof value === 'number' ? Number(value.toPrecision(5)) : value
