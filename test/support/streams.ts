import { type ClientRequest, type IncomingMessage, request as httpRequest } from 'node:http'
import type { Event } from '../../src/contract/event.ts'
import type { StepProgressMessage } from '../../src/contract/step-progress.ts'
import { within } from './process.ts'

/** One message of a stream. */
export interface Message {
  id: number
  kind: string
  event: Event
}

export interface Followed {
  /** How the answer began. */
  response: IncomingMessage
  messages: Message[]
  /** What came without an id. */
  progress: StepProgressMessage[]
  /** The lines that are no event, in the order in which they came. */
  asides: string[]
  /** Waits until so many events have come. */
  reaches(count: number): Promise<Message[]>
  /** Waits until an event with this id has come. */
  comesTo(id: number): Promise<Message[]>
  /** Waits until so many messages have come without an id. */
  hearsProgress(count: number): Promise<StepProgressMessage[]>
  /** Waits until a line that is no event has come so often. */
  hears(aside: string, times?: number): Promise<void>
  /** Settles when the stream is over: `ended` behind an event, or `cut` off within one. */
  over: Promise<'ended' | 'cut'>
  /** Takes nothing any more, or goes on. */
  rest(): void
  goOn(): void
  leave(): void
}

/** Follows a stream on a connection of its own, as EventSource would. */
export async function follow(
  url: string,
  { last_id, headers = {} }: { last_id?: number; headers?: Record<string, string> } = {},
): Promise<Followed> {
  const resumed = last_id === undefined ? {} : { 'last-event-id': String(last_id) }
  const request = httpRequest(url, { agent: false, headers: { ...headers, ...resumed } })
  const response = await answered(request)
  const messages: Message[] = []
  const progress: StepProgressMessage[] = []
  const asides: string[] = []
  const listeners = new Set<() => void>()
  const tell = () => listeners.forEach((listener) => listener())
  let isOver = false

  const half = readBlocks(response, (block) => {
    const { id, event, data } = fieldsOf(block)
    if (data === undefined) asides.push(...block)
    else if (id === undefined) progress.push(JSON.parse(data) as StepProgressMessage)
    else messages.push({ id: Number(id), kind: event ?? '', event: JSON.parse(data) as Event })
    tell()
  })
  const over = new Promise<'ended' | 'cut'>((resolve) => {
    response.on('error', () => {}) // being cut off is an end too
    response.on('close', () => {
      isOver = true
      tell()
      resolve(half() === '' ? 'ended' : 'cut')
    })
  })
  const until = (holds: () => boolean, what: string): Promise<Message[]> => {
    let look = (): void => {}
    const happens = new Promise<Message[]>((resolve, reject) => {
      look = () => {
        if (holds()) return resolve(messages)
        if (isOver) reject(new Error(`the stream was over before ${what}`))
      }
      listeners.add(look)
      look()
    })
    return within(what, happens).finally(() => listeners.delete(look))
  }
  return {
    response,
    messages,
    progress,
    asides,
    reaches: (count) => until(() => messages.length >= count, `${count} events`),
    comesTo: (id) => until(() => (messages.at(-1)?.id ?? 0) >= id, `event ${id}`),
    async hearsProgress(count) {
      await until(() => progress.length >= count, `${count} messages without an id`)
      return progress
    },
    async hears(aside, times = 1) {
      await until(() => asides.filter((each) => each === aside).length >= times, `«${aside}»`)
    },
    over,
    rest: () => void response.pause(),
    goOn: () => void response.resume(),
    leave: () => void request.destroy(),
  }
}

function answered(request: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.on('error', reject)
    request.on('response', resolve)
    request.end()
  })
}

/** The blocks between empty lines. @returns what is behind the last of them: it was not said whole */
function readBlocks(response: IncomingMessage, onBlock: (lines: string[]) => void): () => string {
  let rest = ''
  response.setEncoding('utf8').on('data', (chunk: string) => {
    const blocks = (rest + chunk).split('\n\n')
    rest = blocks.pop()!
    for (const block of blocks) onBlock(block.split('\n'))
  })
  return () => rest
}

function fieldsOf(lines: string[]): { id?: string; event?: string; data?: string } {
  return Object.fromEntries(lines.map((line) => [line.split(':', 1)[0]!, line.replace(/^\w*: ?/, '')]))
}
