import type { ChildProcess } from 'node:child_process'
import { type Socket, connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { LoadRequest, LoadResult } from './client.ts'
import type { Workshop } from './loads.ts'
import type { StreamSample } from './plan.ts'
import { SERVER_CORE, ask, kill, nextMessage, startPinned } from './processes.ts'

const READERS = 1_000
const EVENTS_PER_S = 20
/** What comes later than this has not come. */
const LATE_MS = 10_000

/** A thousand who follow notes: how late these come, and what it costs writes that none of them wants. */
export async function measureStreams({
  client,
  module,
  scratch,
  rounds,
  round_ms,
  progress,
}: Workshop): Promise<StreamSample[]> {
  const args = ['--dir', join(scratch, 'streams')]
  const child = startPinned({ core: SERVER_CORE, file: module('server.js'), args })
  try {
    const { port } = await nextMessage<{ port: number }>(child)
    const load = () => writesPerSecond(client, { port, server_pid: child.pid!, round_ms })
    const run_id = await createRun(port)
    await load() // the first is a warm-up
    const samples: StreamSample[] = []
    for (let round = 1; round <= rounds; round++) {
      progress(`streams: round ${round} of ${rounds}`)
      const alone = await load()
      const audience = await openAudience(port)
      const quiet = await notesDuring(audience, { port, run_id }, () => wait(round_ms))
      let rate = 0
      const busy = await notesDuring(audience, { port, run_id }, async () => void (rate = await load()))
      audience.leave()
      samples.push({ lag_p99_ms: p99(quiet), busy_lag_p99_ms: p99(busy), writes_kept: rate / alone })
    }
    return samples
  } finally {
    await kill(child)
  }
}

async function writesPerSecond(
  client: ChildProcess,
  { round_ms, ...server }: { port: number; server_pid: number; round_ms: number },
): Promise<number> {
  const request: LoadRequest = {
    ...server,
    connections: 64,
    scenario: 'create',
    keyed: false,
    paths_file: null,
    warm_ms: 100,
    measure_ms: round_ms,
  }
  const { requests, ms } = await ask<LoadResult>(client, request)
  return (requests / ms) * 1_000
}

interface Audience {
  /** Is told each time that a note has come to a reader: how many that one has now. */
  onNote: (count: number) => void
  leave(): void
}

const FRAME = '\nevent: note\n'

async function openAudience(port: number): Promise<Audience> {
  const audience: Audience = { onNote: () => {}, leave: () => sockets.forEach((socket) => socket.destroy()) }
  const after = await lastSeq(port)
  const path = `/v1/events/stream?kind=note&after=${after}`
  const sockets = await Promise.all(
    Array.from({ length: READERS }, () => openReader(port, path, (count) => audience.onNote(count))),
  )
  return audience
}

/** Settles with the head of its answer. It looks for the names of events and reads nothing else. */
function openReader(port: number, path: string, onNote: (count: number) => void): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const buffer = Buffer.allocUnsafe(65_536)
    let rest = ''
    let count = 0
    const callback = (bytes: number): boolean => {
      const text = rest + buffer.toString('latin1', 0, bytes)
      for (let at = text.indexOf(FRAME); at !== -1; at = text.indexOf(FRAME, at + 1)) onNote(++count)
      rest = text.slice(1 - FRAME.length)
      resolve(socket)
      return true
    }
    const socket = connect({ port, host: '127.0.0.1', onread: { buffer, callback } })
    socket.on('error', reject)
    socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
  })
}

/** Milliseconds from the sending of each note to its coming, at each reader. */
async function notesDuring(
  audience: Audience,
  to: { port: number; run_id: string },
  act: () => Promise<void>,
): Promise<number[]> {
  const lags: number[] = []
  const sent: number[] = []
  let before: number | null = null
  audience.onNote = (count) => {
    before ??= count - 1 // notes of an earlier time
    lags.push(performance.now() - sent[count - 1 - before]!)
  }
  const answers: Promise<void>[] = []
  const pace = setInterval(() => {
    sent.push(performance.now())
    answers.push(note(to))
  }, 1_000 / EVENTS_PER_S)
  await act()
  clearInterval(pace)
  await Promise.all(answers)
  const end = performance.now() + LATE_MS
  while (lags.length < sent.length * READERS && performance.now() < end) await wait(1)
  if (lags.length === sent.length * READERS) return lags
  throw new Error(`${READERS} readers were sent ${sent.length} notes and had ${lags.length} in all`)
}

async function post(port: number, path: string, body: object): Promise<Record<string, unknown>> {
  const headers = { 'content-type': 'application/json' }
  const init = { method: 'POST', headers, body: JSON.stringify(body) }
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, init)
  if (!answer.ok) throw new Error(`POST ${path} was answered ${answer.status}`)
  return (await answer.json()) as Record<string, unknown>
}

async function note({ port, run_id }: { port: number; run_id: string }): Promise<void> {
  await post(port, `/v1/runs/${run_id}/events`, { kind: 'note', payload: { text: 'flaky test seen' } })
}

async function createRun(port: number): Promise<string> {
  return String((await post(port, '/v1/runs', { project_id: 'bench', phase_id: 'streams' }))['run_id'])
}

async function lastSeq(port: number): Promise<number> {
  const answer = await fetch(`http://127.0.0.1:${port}/v1/events?order=desc&limit=1`)
  return ((await answer.json()) as { items: [{ seq: number }] }).items[0].seq
}

const p99 = (values: number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length * 0.99)]!
