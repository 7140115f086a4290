import { readFileSync, readdirSync, readlinkSync } from 'node:fs'
import { type IncomingMessage, request as httpRequest } from 'node:http'
import { expect } from 'vitest'
import type { Run } from '../../src/contract/run.ts'
import { type Connection, bodyOf, connect } from '../support/client.ts'
import { type ServerProcess, startServer, within } from '../support/process.ts'

export interface SlowReaderOptions {
  data_dir: string
  readers: number
  /** How many of them never read. */
  silent: number
}

export interface SlowReaderSummary {
  notes: number
  /** Of the server's process. */
  memory_before_bytes: number
  memory_most_bytes: number
}

const NOTE_BYTES = 65_000
/** What waits in the server for one reader at the most, and what the system keeps for itself beside it. */
const BOUND_BYTES = 262_144
/** How much a process of Node moves up and down by itself while large bodies pass through it. */
const PLAY_BYTES = 128 * 1_048_576
/** More than sockets hold of what nobody reads. */
const NOTES_MOST = 1_000

/** A reader that only counts: it looks for the ends of events, and not at what is said. */
interface Counter {
  events: number
  isOver: boolean
  /** Waits until so many have come. */
  reaches(events: number): Promise<void>
  rest(): void
  leave(): void
}

/**
 * Notes of 64 KiB, until all that never read are cut off. The others get each note before the next is written, and the
 * memory of the server has grown by no more than the bounds of those who do not read.
 */
export async function readersThatNeverRead(options: SlowReaderOptions): Promise<SlowReaderSummary> {
  const { data_dir, readers, silent } = options
  const server = await startServer({ data_dir })
  const connection = connect(server.url)
  const run = bodyOf<Run>(await connection.post('/v1/runs', { project_id: 'slow', phase_id: 'build' }))
  const idle = socketsOf(server)
  const counters = await Promise.all(Array.from({ length: readers }, () => counterOf(server)))
  await allReach(counters, 1)
  const others = counters.slice(silent)
  for (const { rest } of counters.slice(0, silent)) rest()
  const memory_before_bytes = memoryOf(server)
  let memory_most_bytes = memory_before_bytes
  let notes = 0
  while (socketsOf(server) > idle + others.length && notes < NOTES_MOST) {
    await note(connection, run)
    await allReach(others, ++notes + 1)
    memory_most_bytes = Math.max(memory_most_bytes, memoryOf(server))
  }
  expect(socketsOf(server)).toBe(idle + others.length)
  expect(others.filter(({ isOver }) => isOver)).toEqual([])
  expect(memory_most_bytes - memory_before_bytes).toBeLessThan(silent * BOUND_BYTES + PLAY_BYTES)
  for (const { leave } of counters) leave()
  connection.close()
  expect(await server.stop()).toEqual({ code: 0, signal: null })
  return { notes, memory_before_bytes, memory_most_bytes }
}

async function note(connection: Connection, { run_id }: Run): Promise<void> {
  const body = { kind: 'note', payload: { text: 'x'.repeat(NOTE_BYTES) } }
  bodyOf(await connection.post(`/v1/runs/${run_id}/events`, body))
}

const allReach = (counters: Counter[], events: number) =>
  Promise.all(counters.map(({ reaches }) => reaches(events)))

/** Bytes that the server's process has in memory now. */
const memoryOf = ({ pid }: ServerProcess): number =>
  Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) * 1_024

const socketsOf = ({ pid }: ServerProcess): number =>
  readdirSync(`/proc/${pid}/fd`).filter((fd) => isSocket(`/proc/${pid}/fd/${fd}`)).length

function isSocket(path: string): boolean {
  try {
    return readlinkSync(path).startsWith('socket:')
  } catch {
    return false // closed since it was listed
  }
}

async function counterOf({ url }: ServerProcess): Promise<Counter> {
  const request = httpRequest(`${url}/v1/events/stream`, { agent: false })
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request.on('error', reject).on('response', resolve).end()
  })
  let look = (): void => {}
  const counter: Counter = {
    events: 0,
    isOver: false,
    reaches: (events) =>
      within(
        `${events} events`,
        new Promise((resolve, reject) => {
          look = () => {
            if (counter.events >= events) resolve()
            else if (counter.isOver) reject(new Error(`the stream was over before ${events} events`))
          }
          look()
        }),
      ),
    rest: () => void response.pause(),
    leave: () => void request.destroy(),
  }
  countEvents(response, () => {
    counter.events++
    look()
  })
  response
    .on('error', () => {})
    .on('close', () => {
      counter.isOver = true
      look()
    })
  return counter
}

/** An event ends with an empty line, and the first block of a stream is none. */
function countEvents(response: IncomingMessage, onEvent: () => void): void {
  let blocks = 0
  let last = ''
  response.on('data', (chunk: Buffer) => {
    const text = last + chunk.toString('latin1')
    last = text.endsWith('\n') && !text.endsWith('\n\n') ? '\n' : ''
    for (let at = text.indexOf('\n\n'); at !== -1; at = text.indexOf('\n\n', at + 2)) {
      if (blocks++ > 0) onEvent()
    }
  })
}
