import type { ChildProcess } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Audit } from './audit.ts'
import type { LoadRequest, LoadResult } from './client.ts'
import { type Load, SIDES, type Sample, type Side, type SideName } from './plan.ts'
import { SERVER_CORE, ask, kill, nextMessage, startPinned } from './processes.ts'
import type { Question } from './server.ts'
import type { StoredReads } from './stored-reads.ts'
import { differences } from './tally.ts'
import type { WorkStep } from './work.ts'

export interface Workshop {
  rounds: number
  round_ms: number
  /** The load generator: one for all loads, so that it is at its best in each. */
  client: ChildProcess
  /** Where the compiled modules of the bench are. */
  module: (name: string) => string
  /** For what is thrown away afterwards. */
  scratch: string
  records_file: string
  stored: (runs: number, paths: NonNullable<Load['paths']>) => Promise<StoredReads>
  /** Makes a data directory with so many requests in the queue. */
  queue: (queued: number, dir: string) => Promise<void>
  progress: (text: string) => void
}

export interface Measured {
  samples: Partial<Record<SideName, Sample[]>>
  /** Why the sides cannot be compared, or why what they did was not what was measured; empty is well. */
  faults: string[]
}

/** Fewer than a server needs to be at its best; that is why the median of several rounds is taken. */
const WARM_UP_MS = 1_000
/** Of every round, before it is measured: connections open, groups find their size. */
const RAMP_MS = 100

interface Running {
  name: SideName
  child: ChildProcess
  port: number
  paths_file: string | null
  writes: number
  samples: Sample[]
  result: LoadResult | null
}

/** Puts one load on each side in turn, round by round, so that what changes on the machine meets all alike. */
export async function measureLoad(
  workshop: Workshop,
  { name, load, sides }: { name: string; load: Load; sides: readonly SideName[] },
): Promise<Measured> {
  const scratch = mkdtempSync(join(workshop.scratch, 'load-'))
  const { client } = workshop
  const running: Running[] = []
  try {
    for (const side of sides) running.push(await startSide(workshop, { name: side, load, scratch }))
    for (const side of running) {
      workshop.progress(`${name}: warming ${side.name}`)
      await warm(client, side, load)
    }
    for (let round = 1; round <= workshop.rounds; round++) {
      for (const side of running) {
        workshop.progress(`${name}: round ${round} of ${workshop.rounds}, ${side.name}`)
        if (load.refill !== undefined) await refill(side, load.refill)
        const measure = load.scenario === 'claims' ? measureBursts : measureRound
        side.samples.push(await measure(client, side, { load, measure_ms: workshop.round_ms }))
      }
    }
    workshop.progress(`${name}: checking what was written`)
    const faults = unlikeFirst(running)
    for (const side of running) faults.push(...(await auditSide(side, load)))
    return {
      samples: Object.fromEntries(running.map((side) => [side.name, side.samples])),
      faults: faults.map((fault) => `${name}: ${fault}`),
    }
  } finally {
    await Promise.all(running.map(({ child }) => kill(child)))
    rmSync(scratch, { recursive: true, force: true })
  }
}

async function startSide(
  workshop: Workshop,
  { name, load, scratch }: { name: SideName; load: Load; scratch: string },
): Promise<Running> {
  const { kind, level = 'silent', runs, queued }: Side = SIDES[name]
  const stored = runs === undefined ? null : await workshop.stored(runs, load.paths ?? 'run')
  const dir = stored?.dir ?? join(scratch, name)
  if (queued !== undefined) await workshop.queue(queued, dir)
  const log = openSync(join(scratch, `${name}.log`), 'a')
  const child = startPinned({
    core: SERVER_CORE,
    file: workshop.module('server.js'),
    args: [
      '--kind',
      kind,
      '--level',
      level,
      '--dir',
      dir,
      '--records',
      workshop.records_file,
      ...(load.scenario === 'route' ? ['--routes'] : []),
    ],
    stdio: ['ignore', log, 'inherit', 'ipc'],
  })
  closeSync(log)
  const { port } = await nextMessage<{ port: number }>(child)
  await stored?.check(port)
  return { name, child, port, paths_file: stored?.paths_file ?? null, writes: 0, samples: [], result: null }
}

interface Part {
  load: Load
  warm_ms: number
  measure_ms: number | null
}

async function putLoad(client: ChildProcess, side: Running, { load, ...times }: Part): Promise<LoadResult> {
  const { scenario, connections, keyed } = load
  const { port, paths_file, child } = side
  const request: LoadRequest = {
    ...{ port, server_pid: child.pid!, paths_file },
    ...{ scenario, connections, keyed },
    ...times,
  }
  const result = await ask<LoadResult>(client, request)
  side.writes += result.writes
  side.result = result
  return result
}

async function warm(client: ChildProcess, side: Running, load: Load): Promise<void> {
  if (load.scenario === 'claims') return void (await measureBursts(client, side, { load }))
  await putLoad(client, side, { load, warm_ms: 0, measure_ms: WARM_UP_MS })
}

/** What was worked off, or was claimed and completed. */
async function refill(side: Running, depth: number | 'full'): Promise<void> {
  const { queued = 0 }: Side = SIDES[side.name]
  await put(side, { queue: depth === 'full' ? queued : depth })
}

const put = <T>(side: Running, question: Question): Promise<T> => ask<T>(side.child, { question })

async function measureRound(
  client: ChildProcess,
  side: Running,
  part: Omit<Part, 'warm_ms'>,
): Promise<Sample> {
  const before = await put<{ commits: number }>(side, 'commits')
  const begun = performance.now()
  const result = await putLoad(client, side, { ...part, warm_ms: RAMP_MS })
  const seconds = (performance.now() - begun) / 1_000
  const after = await put<{ commits: number }>(side, 'commits')
  const sample = sampleOf(result, { commits: after.commits - before.commits, seconds })
  if (part.load.scenario !== 'route') return sample
  const { per_s } = await put<{ per_s: number }>(side, 'decide')
  return { ...sample, decisions_per_request: per_s / sample.rate }
}

/** A queue that is claimed from is soon another one: many short bursts of claims, and between them it is mended. */
const BURSTS = 8

async function measureBursts(
  client: ChildProcess,
  side: Running,
  { load }: Pick<Part, 'load'>,
): Promise<Sample> {
  const samples: Sample[] = []
  const part = { load, warm_ms: 0, measure_ms: null }
  for (let burst = 0; burst < BURSTS; burst++) {
    await refill(side, load.refill ?? 'full')
    const before = await put<{ commits: number }>(side, 'commits')
    const claims = await putLoad(client, side, part)
    const after = await put<{ commits: number }>(side, 'commits')
    samples.push(sampleOf(claims, { commits: after.commits - before.commits, seconds: claims.ms / 1_000 }))
    await putLoad(client, side, part) // their completions
  }
  const names = Object.keys(samples[0]!) as (keyof Sample)[]
  const mean = (name: keyof Sample) => samples.reduce((sum, sample) => sum + sample[name], 0) / BURSTS
  return Object.fromEntries(names.map((name) => [name, mean(name)])) as unknown as Sample // each name is there
}

/** Commits are counted over the whole load, as the writes are; everything else over its measured part. */
function sampleOf(result: LoadResult, { commits, seconds }: { commits: number; seconds: number }): Sample {
  const { ms, requests, p50_ms, p99_ms } = result
  return {
    rate: (requests / ms) * 1_000,
    p50_ms,
    p99_ms,
    cpu_us: (result.server_cpu_ms / requests) * 1_000,
    commits_per_s: commits / seconds,
    writes_per_commit: commits === 0 ? NaN : result.writes / commits,
    rss_mb: result.server_rss_mb,
    decisions_per_request: NaN,
    client_share: result.client_cpu_ms / ms,
    foreign_share: result.foreign_cpu_ms / (2 * ms),
  }
}

/** In what the answers of the others differed from those of the first. */
function unlikeFirst([first, ...others]: readonly Running[]): string[] {
  return others.flatMap((side) =>
    differences(first?.result?.tallies ?? [], side.result?.tallies ?? []).map(
      (difference) => `${first?.name} and ${side.name} differ: ${difference}`,
    ),
  )
}

/** Whether a side that keeps a ledger kept what it acknowledged: every write has its event or decision, chains hold. */
async function auditSide(side: Running, { scenario, refill }: Load): Promise<string[]> {
  const { kind, runs }: Side = SIDES[side.name]
  if (kind === 'no-op' || kind === 'bare' || runs !== undefined) return []
  const audit = await put<Audit>(side, 'audit')
  const all = audit.faults.slice(0, 3)
  if (refill === undefined) {
    const { events, decisions } = audit
    const due = scenario === 'route' ? [0, side.writes] : [side.writes, 0]
    if (events !== due[0] || decisions !== due[1])
      all.push(`${side.writes} writes were acknowledged; there are ${events} events, ${decisions} decisions`)
  } else all.push(...unlikeWork(side, audit))
  if (audit.runs_checked === 0) all.push('no run was checked')
  return all.map((fault) => `${side.name}: ${fault}`)
}

/** Every claim and every completion that was acknowledged has its event, and what is not completed a lease. */
function unlikeWork({ result }: Running, { claimed, completed, leases }: Audit): string[] {
  const tallies = result?.tallies ?? []
  const answers = (step: WorkStep) => tallies.find((tally) => tally.step === step)?.answers ?? 0
  const both = answers('complete and claim')
  const due = [answers('claim') + both, answers('complete') + both] as const
  const statuses = new Set(tallies.flatMap((tally) => tally.statuses))
  const faults = statuses.size === 1 && statuses.has(200) ? [] : [`answers were ${[...statuses].join()}`]
  if (claimed !== due[0] || completed !== due[1] || leases !== claimed - completed)
    faults.push(
      `${due[0]} claims and ${due[1]} completions were acknowledged; there are ${claimed} and ${completed}, and ${leases} leases`,
    )
  return faults
}
