import { LIMITS } from '../../contract/limits.ts'
import { backtestSteps } from './recorded-decisions.ts'
import { statisticsSteps } from './statistics.ts'

/** Reads that take seconds, each in steps of a few milliseconds, and how many of a kind may run at once. */
export const LONG_READS = {
  backtest: { steps: backtestSteps, at_once: LIMITS.backtests, called: 'backtests' },
  statistics: { steps: statisticsSteps, at_once: LIMITS.statistics, called: 'computations of statistics' },
} as const

export type LongRead = keyof typeof LONG_READS

type StepsOf<R extends LongRead> = (typeof LONG_READS)[R]['steps']

/** Plain data, as its result is: both may go from one thread to another. */
export type TaskOf<R extends LongRead> = Parameters<StepsOf<R>>[1]
export type ResultOf<R extends LongRead> =
  ReturnType<StepsOf<R>> extends Generator<void, infer Result> ? Result : never
