import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect } from 'vitest'
import type { Event } from '../../src/contract/event.ts'
import { connect, randomFrom, readEvents } from '../support/client.ts'
import { type ServerProcess, startServer } from '../support/process.ts'
import { type Followed, follow } from '../support/streams.ts'
import { type Load, startLoad } from './load.ts'

export interface ReconnectOptions {
  data_dir: string
  /** How often readers leave and come again, all of them together. */
  reconnects: number
  /** How often the server is started anew meanwhile, killed the one time and stopped the next. */
  restarts: number
  seed: number
}

/** What the readers came to, so that a test can show that they were among what happened. */
export interface ReconnectSummary {
  events: number
  reconnects: number
  /** How often a reader left with something new, and with nothing. */
  with_news: number
  without: number
  /** How often a stream was over because the server went away. */
  ended: number
}

interface Reader {
  filter: string
  wants: (event: Event) => boolean
  /** By `seq`, as they came. */
  got: [seq: number, hash: string][]
}

const READERS: Pick<Reader, 'filter' | 'wants'>[] = [
  { filter: '', wants: () => true },
  { filter: '', wants: () => true },
  { filter: '&kind=note', wants: ({ kind }) => kind === 'note' },
  { filter: '&kind=run_created&kind=run_started&project_id=load', wants: ({ kind }) => kind !== 'note' },
]

/** Readers that come and go at random while clients write and the server is started anew: each has everything, once. */
export async function reconnectAgainAndAgain(options: ReconnectOptions): Promise<ReconnectSummary> {
  const { data_dir, reconnects, restarts, seed } = options
  const summary: ReconnectSummary = { events: 0, reconnects: 0, with_news: 0, without: 0, ended: 0 }
  const readers = READERS.map((reader): Reader => ({ ...reader, got: [] }))
  let server = await startServer({ data_dir })
  let load = startLoad(server, { connections: 4 })
  let current = Promise.resolve(server)
  let isGoing = false
  const staying = new Set<Reader>()
  const isDone = () => summary.reconnects >= reconnects
  const reading = readers.map((reader, index) =>
    readAtRandom(reader, {
      server: () => current,
      isGoing: () => isGoing,
      staying,
      isDone,
      random: randomFrom(seed + index),
      summary,
    }),
  )

  for (let restart = 1; restart <= restarts; restart++) {
    while (summary.reconnects < (reconnects * restart) / (restarts + 1)) await nextTurn()
    isGoing = true
    while (staying.size === 0) await nextTurn()
    current = startedAnew(server, load, restart % 2 === 0)
    server = await current
    isGoing = false
    load = startLoad(server, { connections: 4 })
  }
  await Promise.all(reading)
  await load.stop()
  await haveEverything(server, readers, summary)
  expect(await server.stop()).toEqual({ code: 0, signal: null })
  return summary
}

async function startedAnew(server: ServerProcess, load: Load, politely: boolean): Promise<ServerProcess> {
  await (politely ? server.stop() : server.kill())
  await load.ended
  return server.restart()
}

interface Reading {
  server: () => Promise<ServerProcess>
  /** Whether the server is about to go away: then readers stay and see it. */
  isGoing: () => boolean
  staying: Set<Reader>
  isDone: () => boolean
  random: () => number
  summary: ReconnectSummary
}

async function readAtRandom(reader: Reader, reading: Reading): Promise<void> {
  const { server, isGoing, staying, isDone, random, summary } = reading
  while (!isDone()) {
    const { url } = await server()
    const followed = await resumed(url, reader, random() < 0.5)
    if (followed === null) continue // the server has just gone away
    const { messages, over, leave } = followed
    const most = random() < 0.3 ? 0 : Math.floor(random() * 400)
    for (let turn = Math.floor(random() * 200); turn > 0 && messages.length <= most; turn--) await nextTurn()
    if (isGoing()) {
      staying.add(reader)
      await over
      staying.delete(reader)
      summary.ended++
    }
    leave()
    const loses = random() < 0.1 // it goes away itself before it has looked at anything
    if (!loses) take(reader, followed)
    summary[!loses && messages.length > 0 ? 'with_news' : 'without']++
    summary.reconnects++
  }
}

/** In both ways of saying where to go on. Null if the server does not take it now. */
async function resumed(url: string, { filter, got }: Reader, byHeader: boolean): Promise<Followed | null> {
  const last_id = got.at(-1)?.[0] ?? 0
  try {
    const followed = byHeader
      ? await follow(`${url}/v1/events/stream?after=0${filter}`, { last_id })
      : await follow(`${url}/v1/events/stream?after=${last_id}${filter}`)
    return followed.response.statusCode === 200 ? followed : null
  } catch {
    return null
  }
}

const take = ({ got }: Reader, { messages }: Followed): void => {
  for (const { id, event } of messages) got.push([id, event.hash])
}

/** Each reader follows to the end, and then has what the list has: in order, all of it, nothing twice. */
async function haveEverything(
  server: ServerProcess,
  readers: Reader[],
  summary: ReconnectSummary,
): Promise<void> {
  const connection = connect(server.url)
  const events = await readEvents(connection)
  connection.close()
  summary.events = events.length
  for (const reader of readers) {
    const expected = events.filter(reader.wants)
    const followed = (await resumed(server.url, reader, true))!
    if ((reader.got.at(-1)?.[0] ?? 0) < expected.at(-1)!.seq) await followed.comesTo(expected.at(-1)!.seq)
    followed.leave()
    take(reader, followed)
    expect(reader.got).toEqual(expected.map(({ seq, hash }) => [seq, hash]))
  }
}
