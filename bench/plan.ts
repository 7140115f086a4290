import type { Scenario } from './journeys.ts'
import { type PlanSample, planFigures } from './plan-figures.ts'
import { SHAPES } from './plan-shapes.ts'
import type { Kind } from './server.ts'

/** A server that a load is put on. */
export interface Side {
  kind: Kind
  /** The log level, where a figure is about the log. */
  level?: 'info' | 'silent'
  /** Begins with so many runs, and is only read. */
  runs?: number
  /** Begins with so many requests in the queue. */
  queued?: number
}

export const SIDES = {
  durable: { kind: 'durable' },
  'no-op': { kind: 'no-op' },
  single: { kind: 'single' },
  logged: { kind: 'durable', level: 'info' },
  bare: { kind: 'bare' },
  large: { kind: 'durable', runs: 1_000_000 },
  small: { kind: 'durable', runs: 10_000 },
  deep: { kind: 'durable', queued: 100_000 },
  shallow: { kind: 'durable', queued: 1_000 },
} as const satisfies Record<string, Side>
export type SideName = keyof typeof SIDES

export interface Load {
  scenario: Scenario
  connections: number
  keyed: boolean
  /** What `paths` reads. */
  paths?: 'run' | 'first page' | 'middle page'
  /** What workers do: the queue is at least this deep before each round; `full` is as deep as it was at first. */
  refill?: number | 'full'
}

const write = { connections: 64, keyed: false }
const read = { scenario: 'paths', connections: 64, keyed: false } as const

/** More than a round can work off: a worker that finds nothing makes the sides differ, and the bench says so. */
const ENOUGH = 40_000

export const LOADS = {
  create: { ...write, scenario: 'create' },
  'create-keyed': { ...write, scenario: 'create', keyed: true },
  'lifecycle-16': { ...write, scenario: 'lifecycle', connections: 16 },
  'lifecycle-64': { ...write, scenario: 'lifecycle' },
  'lifecycle-256': { ...write, scenario: 'lifecycle', connections: 256 },
  'lifecycle-16-keyed': { ...write, scenario: 'lifecycle', connections: 16, keyed: true },
  'lifecycle-64-keyed': { ...write, scenario: 'lifecycle', keyed: true },
  'lifecycle-256-keyed': { ...write, scenario: 'lifecycle', connections: 256, keyed: true },
  route: { ...write, scenario: 'route' },
  pairs: { ...write, scenario: 'pairs', refill: ENOUGH },
  'pairs-apart': { ...write, scenario: 'pairs apart', refill: ENOUGH },
  claims: { ...write, scenario: 'claims', refill: 'full' },
  'read-run': { ...read, paths: 'run' },
  'first-page': { ...read, paths: 'first page' },
  'middle-page': { ...read, paths: 'middle page' },
} as const satisfies Record<string, Load>
export type LoadName = keyof typeof LOADS

/** What is known of one side in one round. */
export interface Sample {
  /** Requests per second. */
  rate: number
  p50_ms: number
  p99_ms: number
  /** Of the server, for each request. */
  cpu_us: number
  commits_per_s: number
  writes_per_commit: number
  /** The largest that was seen. */
  rss_mb: number
  /** Decisions without any store that the process made after the round, for each request of it: of `route` alone. */
  decisions_per_request: number
  /** How much of its core the client used. */
  client_share: number
  /** How much of both cores somebody else used. */
  foreign_share: number
}

/** One start of a compiled server. */
export interface StartSample {
  start_ms: number
  idle_rss_mb: number
}

/** One backtest. */
export interface BacktestSample {
  seconds: number
}

/** A while in which claims wait and there is no work. */
export interface WaitingSample {
  statements: number
}

/** A while in which a thousand follow a stream. */
export interface StreamSample {
  /** From the sending of an event to its coming; with nothing else to do, and while writes keep the server busy. */
  lag_p99_ms: number
  busy_lag_p99_ms: number
  /** The rate of those writes, to what it is with no reader. */
  writes_kept: number
}

type Of =
  | { load: LoadName; value: keyof Sample; over: SideName; under: SideName | null }
  | { load: 'start'; value: keyof StartSample; over: 'durable'; under: 'no-op' }
  | { load: 'backtest'; value: keyof BacktestSample; over: 'durable'; under: null }
  | { load: 'plans'; value: keyof PlanSample; over: 'durable'; under: null }
  | { load: 'waiting'; value: keyof WaitingSample; over: 'durable'; under: null }
  | { load: 'streams'; value: keyof StreamSample; over: 'durable'; under: null }

export type Figure = Of & {
  name: string
  title: string
  /** Met from here on: upwards where more is better, else downwards. */
  must: number
  goal: number
  better: 'more' | 'less'
  /** How many requests of the first side make one of what is counted; 1 if left out. */
  requests_each?: number
}

const more = { value: 'rate', over: 'durable', under: 'no-op', better: 'more' } as const
const p99 = { value: 'p99_ms', over: 'durable', under: 'no-op', better: 'less' } as const
const atScale = {
  value: 'rate',
  over: 'large',
  under: 'small',
  better: 'more',
  must: 0.75,
  goal: 0.9,
} as const
const pairs = { ...more, over: 'deep', must: 0.15, goal: 0.22 } as const
const streams = { load: 'streams', over: 'durable', under: null } as const
const start = { load: 'start', over: 'durable', under: 'no-op', better: 'less' } as const

const keyed = (load: LoadName, title: string, must: number, goal: number): Figure => ({
  ...more,
  load,
  name: load,
  title,
  must,
  goal,
})

export const FIGURES: readonly Figure[] = [
  keyed('create', 'createRun ÷ no-op', 0.38, 0.55),
  keyed('create-keyed', 'createRun ÷ no-op, with keys', 0.35, 0.5),
  keyed('lifecycle-16', 'lifecycle ÷ no-op, 16 connections', 0.25, 0.38),
  keyed('lifecycle-64', 'lifecycle ÷ no-op, 64 connections', 0.4, 0.57),
  keyed('lifecycle-256', 'lifecycle ÷ no-op, 256 connections', 0.37, 0.55),
  keyed('lifecycle-16-keyed', 'lifecycle ÷ no-op, 16 connections, with keys', 0.22, 0.34),
  keyed('lifecycle-64-keyed', 'lifecycle ÷ no-op, 64 connections, with keys', 0.32, 0.5),
  keyed('lifecycle-256-keyed', 'lifecycle ÷ no-op, 256 connections, with keys', 0.3, 0.48),
  {
    ...more,
    name: 'single',
    title: 'lifecycle ÷ one transaction per request',
    load: 'lifecycle-64',
    under: 'single',
    must: 4.5,
    goal: 6,
  },
  {
    ...more,
    name: 'writes-per-commit',
    title: 'writes per commit, lifecycle',
    load: 'lifecycle-64',
    value: 'writes_per_commit',
    under: null,
    must: 30,
    goal: 45,
  },
  {
    ...p99,
    name: 'p99-lifecycle',
    title: 'write p99 ÷ no-op, lifecycle',
    load: 'lifecycle-64',
    must: 4,
    goal: 2.5,
  },
  { ...p99, name: 'p99-create', title: 'write p99 ÷ no-op, createRun', load: 'create', must: 6, goal: 3.5 },
  {
    ...more,
    name: 'log-line',
    title: 'log line on ÷ off, lifecycle',
    load: 'lifecycle-64',
    over: 'logged',
    under: 'durable',
    must: 0.75,
    goal: 0.85,
  },
  {
    ...more,
    name: 'route-pure',
    title: 'route decisions without I/O ÷ no-op requests',
    load: 'route',
    value: 'decisions_per_request',
    over: 'no-op',
    under: null,
    must: 5,
    goal: 12,
  },
  keyed('route', 'createRouteDecision ÷ no-op', 0.3, 0.45),
  {
    name: 'backtest',
    title: 'backtest of 100 000 decisions, seconds',
    load: 'backtest',
    value: 'seconds',
    over: 'durable',
    under: null,
    better: 'less',
    must: 10,
    goal: 5,
  },
  {
    ...pairs,
    name: 'pairs',
    title: 'pairs of complete and claim in one request ÷ no-op requests, 64 workers',
    load: 'pairs',
  },
  {
    ...pairs,
    name: 'pairs-apart',
    title: 'pairs of a claim and a completion ÷ no-op requests, 64 workers',
    load: 'pairs-apart',
    requests_each: 2,
  },
  {
    ...more,
    name: 'claims-depth',
    title: 'claims from 100 000 queued ÷ from 1 000',
    load: 'claims',
    over: 'deep',
    under: 'shallow',
    must: 0.9,
    goal: 0.9,
  },
  ...SHAPES.flatMap(planFigures),
  {
    name: 'waiting',
    title: 'statements while 500 claims wait 10 s for work',
    load: 'waiting',
    value: 'statements',
    over: 'durable',
    under: null,
    better: 'less',
    must: 0,
    goal: 0,
  },
  {
    ...streams,
    name: 'stream-lag',
    title: '1 000 stream readers, 20 events/s: p99 of the lag, ms',
    value: 'lag_p99_ms',
    better: 'less',
    must: 250,
    goal: 100,
  },
  {
    ...streams,
    name: 'stream-writes',
    title: 'createRun with those readers ÷ without',
    value: 'writes_kept',
    better: 'more',
    must: 0.5,
    goal: 0.7,
  },
  { ...atScale, name: 'read-run', title: 'read run, 1 000 000 runs ÷ 10 000', load: 'read-run' },
  { ...atScale, name: 'first-page', title: 'first page, 1 000 000 runs ÷ 10 000', load: 'first-page' },
  { ...atScale, name: 'middle-page', title: 'middle page, 1 000 000 runs ÷ 10 000', load: 'middle-page' },
  { ...start, name: 'cold-start', title: 'cold start ÷ no-op', value: 'start_ms', must: 1.3, goal: 1.1 },
  { ...start, name: 'memory-idle', title: 'memory idle ÷ no-op', value: 'idle_rss_mb', must: 1.2, goal: 1.1 },
  {
    name: 'memory-load',
    title: 'memory under load ÷ no-op, lifecycle',
    load: 'lifecycle-64',
    value: 'rss_mb',
    over: 'durable',
    under: 'no-op',
    better: 'less',
    must: 1.6,
    goal: 1.3,
  },
]

/** The no-op must not be slow itself, or everything would look good beside it. */
export const NO_OP_FLOOR = { load: 'lifecycle-64', over: 'no-op', under: 'bare', must: 0.75 } as const
