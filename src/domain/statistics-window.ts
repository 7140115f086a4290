import { LIMITS } from '../contract/limits.ts'
import type { StatisticsBy, StatisticsQuery } from '../contract/statistics-query.ts'
import { LedgerError } from './error.ts'

/** What is to be counted, with nothing left open. Instants are milliseconds since 1970. */
export interface StatisticsWindow {
  from: number
  to: number
  bucket_ms: number | null
  by: StatisticsBy | null
  /** Null passes all. */
  project_id: readonly string[] | null
  tool_id: readonly string[] | null
}

/** What an instant of the answer can say; nothing is older, and buckets are counted from there. */
const INSTANT_MAX = Date.parse('9999-12-31T23:59:59.999Z')
const msOf = (instant: string): number => Math.min(Math.max(Date.parse(instant), 0), INSTANT_MAX)

/** @throws LedgerError `validation_failed` where the window ends before it begins, or is too long or cut too fine */
export function windowOf(query: StatisticsQuery, now: string): StatisticsWindow {
  const { bucket_seconds, by = null, project_id = null, tool_id = null } = query
  const to = msOf(query.to ?? now)
  const from =
    query.from === undefined ? Math.max(0, to - LIMITS.statistics_seconds * 1_000) : msOf(query.from)
  if (from > to) throw refused('from', 'must not be after `to`, which is now unless it is given')
  if (to - from > LIMITS.statistics_seconds_max * 1_000)
    throw refused('from', `must be at most ${LIMITS.statistics_seconds_max} seconds before \`to\``)
  const bucket_ms = bucket_seconds === undefined ? null : bucket_seconds * 1_000
  const window = { from, to, bucket_ms, by, project_id, tool_id }
  const most = by === null ? LIMITS.statistics_buckets : LIMITS.statistics_group_buckets
  if (bucketCount(window) > most) throw refused('bucket_seconds', `would make more than ${most} buckets`)
  return window
}

const refused = (parameter: string, detail: string) =>
  new LedgerError('validation_failed', `${parameter} ${detail}.`, { errors: [{ parameter, detail }] })

type Cut = Pick<StatisticsWindow, 'from' | 'to' | 'bucket_ms'>

/** The number of the bucket that an instant falls into, counted from the first of the window. */
export const bucketOf = ({ from, bucket_ms }: Cut, at: number): number =>
  bucket_ms === null ? 0 : Math.floor(at / bucket_ms) - Math.floor(from / bucket_ms)

const bucketCount = (cut: Cut): number =>
  cut.bucket_ms === null || cut.from === cut.to ? 0 : bucketOf(cut, cut.to - 1) + 1

/** The parts of the window: whole buckets, but for what its ends cut off. */
export function bucketsOf(cut: Cut): { from: string; to: string }[] {
  const { from, to, bucket_ms } = cut
  return Array.from({ length: bucketCount(cut) }, (_, number) => {
    const start = (Math.floor(from / bucket_ms!) + number) * bucket_ms!
    return {
      from: instantOf(Math.max(from, start)),
      to: instantOf(Math.min(to, start + bucket_ms!)),
    }
  })
}

export const instantOf = (ms: number): string => new Date(ms).toISOString()
