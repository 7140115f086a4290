import { expect, it } from 'vitest'
import { LIMITS } from '../../src/contract/limits.ts'
import { createMetrics } from '../../src/metrics/metrics.ts'
import { readMetrics } from '../support/metrics.ts'

const STORE = { writes_waiting: 0, database_bytes: 0, wal_bytes: 0 }
const open = () => createMetrics({ version: '1.2.3', max_streams: 5, write_queue_max: 7 })
const queue = (tool_id: string, queued: number, waiting_ms: number) => ({ tool_id, queued, waiting_ms })

it('counts tools together once there are very many, and never forgets one that has a name', async () => {
  const metrics = open()
  for (let i = 0; i < LIMITS.metric_tools + 30; i++) metrics.leased({ tool_id: `tool-${i}`, what: 'claimed' })
  metrics.leased({ tool_id: 'tool-0', what: 'claimed' })
  const queues = [queue('tool-1', 2, 500), queue('late', 3, 9_000), queue('later', 4, 2_000)]
  const scrape = readMetrics(await metrics.text(STORE, { tools: [], queues }))
  expect(scrape.series('signalbox_claims_total')).toHaveLength(LIMITS.metric_tools + 1)
  expect(scrape.value('signalbox_claims_total', { tool: 'other' })).toBe(30)
  expect(scrape.value('signalbox_claims_total', { tool: 'tool-0' })).toBe(2)
  expect(scrape.series('signalbox_queue_depth')).toEqual([
    [{ tool: 'tool-1' }, 2],
    [{ tool: 'other' }, 7],
  ])
  expect(scrape.series('signalbox_queue_age_seconds')).toEqual([
    [{ tool: 'tool-1' }, 0.5],
    [{ tool: 'other' }, 9],
  ])
})

it('says nothing of a queue that has become empty, or that nobody could read', async () => {
  const metrics = open()
  await metrics.text(STORE, { tools: [], queues: [queue('aider', 2, 500)] })
  const empty = readMetrics(await metrics.text(STORE, { tools: [], queues: [] }))
  expect(empty.series('signalbox_queue_depth')).toEqual([])
  expect(empty.value('signalbox_store_up')).toBe(1)
  await metrics.text(STORE, { tools: [], queues: [queue('aider', 2, 500)] })
  const unknown = readMetrics(await metrics.text(STORE, null))
  expect(unknown.series('signalbox_queue_depth')).toEqual([])
  expect(unknown.value('signalbox_store_up')).toBe(0)
})

it('tells of each commit what it carried and how long it took', async () => {
  const metrics = open()
  metrics.committed({ operations: 3, commit_ms: 2 })
  metrics.committed({ operations: 40, commit_ms: 12 })
  const scrape = readMetrics(await metrics.text(STORE, null))
  expect(scrape.value('signalbox_write_group_size_sum')).toBe(43)
  expect(scrape.value('signalbox_write_group_size_bucket', { le: '4' })).toBe(1)
  expect(scrape.value('signalbox_write_group_size_bucket', { le: '64' })).toBe(2)
  expect(scrape.value('signalbox_commit_duration_seconds_sum')).toBeCloseTo(0.014)
  expect(scrape.value('signalbox_commit_duration_seconds_bucket', { le: '0.0025' })).toBe(1)
})

it('names tools so that no name can break the text', async () => {
  const metrics = open()
  const tool = 'a "tool" \\ with\na line'
  metrics.leased({ tool_id: tool, what: 'claimed' })
  const [[labels] = []] = readMetrics(await metrics.text(STORE, null)).series('signalbox_claims_total')
  expect(labels).toEqual({ tool: 'a \\"tool\\" \\\\ with\\na line' })
})

it('knows its build and its limits', async () => {
  const scrape = readMetrics(await open().text(STORE, null))
  expect(scrape.value('signalbox_build_info', { version: '1.2.3' })).toBe(1)
  expect(scrape.value('signalbox_stream_readers_limit')).toBe(5)
  expect(scrape.value('signalbox_write_queue_limit')).toBe(7)
})
