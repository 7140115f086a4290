import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Event } from '../src/contract/event.ts'
import type { Run } from '../src/contract/run.ts'
import type { StepAttempt } from '../src/contract/step.ts'
import { canonicalText } from '../src/domain/canonical.ts'
import type { Given, NewEvent } from '../src/domain/decision.ts'
import { chain, chainStart, checkChain, checkHead, shownEvent } from '../src/domain/event-chain.ts'
import { type Connection, type Reply, bodyOf, connect } from './support/client.ts'
import { ROOT, cleanUp, startServer, temporaryDirectory } from './support/process.ts'

const VERIFIER = join(ROOT, 'verify/verify_events.py')

interface Verdict {
  code: number
  stdout: string
  stderr: string
}

function python(args: string[], input: string): Promise<Verdict> {
  return new Promise((resolve) => {
    const child = execFile('python3', [VERIFIER, ...args], (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr })
    })
    child.stdin!.end(input)
  })
}

const verify = (events: readonly unknown[], ...args: string[]): Promise<Verdict> =>
  python(args, JSON.stringify({ items: events, next_cursor: null }))

const accepted = (events: readonly Event[]) => ({
  code: 0,
  stdout: `ok: ${events.length} events, the last hash is ${events.at(-1)!.hash}\n`,
  stderr: '',
})
const rejected = (run_seq: number) => ({
  code: 1,
  stdout: `bad: run_seq ${run_seq} does not hold\n`,
  stderr: '',
})

interface Vector {
  name: string
  last_hash: string
  /** The RFC 8785 text of each payload: what `payload_salt` stands before. Null once it was erased. */
  payload_texts: (string | null)[]
  items: Event[]
}

type VectorEvent = Partial<Pick<Event, 'from' | 'to' | 'actor' | 'http_request_id' | 'step_attempt_id'>> & {
  kind: string
  payload: Record<string, unknown>
  erased?: true
}

const RUN_ID = '01JD8Z6V3QK0T2M4N6P8R0S2T4'
const STEP_ID = '01JD8Z6W9ZC4X8Y2Z6A0B4C8D2'
const note = (payload: Record<string, unknown>): VectorEvent => ({ kind: 'note', payload })

/** What the vectors are made from. They are for ever: a chain that is stored cannot be hashed in another way. */
const VECTORS: { name: string; run_id: string | null; events: VectorEvent[] }[] = [
  {
    name: 'the life of a run',
    run_id: RUN_ID,
    events: [
      { kind: 'run_created', to: 'pending', payload: { run: { labels: {}, state: 'pending', version: 1 } } },
      {
        kind: 'run_started',
        from: 'pending',
        to: 'running',
        actor: { type: 'key', id: 'ci' },
        http_request_id: 'build-42/start',
        payload: { run: { started_at: '2026-01-05T09:30:01.250Z', state: 'running', version: 2 } },
      },
      {
        kind: 'step_started',
        to: 'running',
        step_attempt_id: STEP_ID,
        actor: { type: 'worker', id: 'w1' },
        payload: { run: { version: 3 }, step_attempt: { exit_code: null, sequence: 1, tool_id: 'pytest' } },
      },
      {
        kind: 'step_completed',
        from: 'running',
        to: 'succeeded',
        step_attempt_id: STEP_ID,
        actor: { type: 'worker', id: 'w1' },
        payload: { run: { version: 4 }, step_attempt: { exit_code: 0, state: 'succeeded' } },
      },
      { kind: 'run_completed', from: 'running', to: 'succeeded', payload: { run: { state: 'succeeded' } } },
    ],
  },
  {
    name: 'keys stand in the order of their UTF-16 code units, also beyond the BMP',
    run_id: RUN_ID,
    events: [
      note({
        '\u20ac': 'Euro Sign',
        '\r': 'Carriage Return',
        '\ufb33': 'Hebrew Letter Dalet With Dagesh',
        1: 'One',
        '\u{1f600}': 'Emoji: Grinning Face',
        '\u0080': 'Control',
        '\u00f6': 'Latin Small Letter O With Diaeresis',
      }),
      note({ b: { z: 1, Z: 2, '': 3 }, a: [{ y: null, x: true }, [], {}], A: false }),
    ],
  },
  {
    name: 'numbers are written as ECMAScript writes them',
    run_id: RUN_ID,
    events: [
      note({ integers: [0, -1, 42, 9007199254740991, -9007199254740991] }),
      note({ fractions: [0.5, -0.1, 4.5, 0.002, 333333333.3333333, 1.1e-5, 0.30000000000000004] }),
      note({
        small: [0.000001, 1e-7, -1.5e-9, 5e-324],
        large: [1e20, 1e21, 1.25e21, 1.7976931348623157e308],
      }),
    ],
  },
  {
    name: 'text is escaped where JSON demands it, and nowhere else',
    run_id: RUN_ID,
    events: [
      note({ text: '\b\t\n\f\r"\\/ \u0001\u001f\u007f \u2028\u2029 <&> \u00e9 e\u0301 \u{1f680}' }),
      { ...note({}), http_request_id: '"quoted"\\' },
    ],
  },
  { name: 'an empty payload', run_id: RUN_ID, events: [note({})] },
  {
    name: 'an erased payload leaves its hash',
    run_id: RUN_ID,
    events: [note({ text: 'first' }), { ...note({ secret: 'gone' }), erased: true }, note({ text: 'last' })],
  },
  {
    name: 'events that belong to no run',
    run_id: null,
    events: [
      {
        kind: 'audit_loss_accepted',
        actor: { type: 'system', id: null },
        payload: { anchor: { count: 7, hash: '0'.repeat(64), seq: 9 } },
      },
    ],
  },
]

/** Makes a vector with ids, salts and instants that count up. */
function vectorOf({ name, run_id, events }: (typeof VECTORS)[number]): Vector {
  let head = chainStart(run_id)
  const made = events.map((event, index): NewEvent => {
    const { kind, payload, actor = { type: 'anonymous', id: null }, http_request_id = null, ...rest } = event
    const given: Given = {
      now: `2026-01-05T09:30:0${index}.250Z`,
      newId: () => `01JD8Z6V3RT7W9Y1A3C5E7G9J${index}`,
      randomHex: (bytes) => (index + 10).toString(16).repeat(2 * bytes),
      caller: { actor, projects: null },
      http_request_id,
      if_match: null,
    }
    const added = chain(run_id, head, [{ kind, payload_text: canonicalText(payload), ...rest }], given)
    head = added.head
    const [one] = added.events
    return event.erased ? { ...one!, payload_text: null, payload_salt: null } : one!
  })
  return {
    name,
    last_hash: head.last_hash,
    payload_texts: made.map(({ payload_text }) => payload_text),
    items: made.map((event, index) => shownEvent({ ...event, seq: 2 * index + 1 })),
  }
}

const kept = (event: Event) => ({
  ...event,
  payload_text: event.payload === null ? null : canonicalText(event.payload),
})

describe('the test vectors', () => {
  const { vectors } = JSON.parse(readFileSync(join(ROOT, 'verify/vectors.json'), 'utf8')) as {
    vectors: Vector[]
  }

  it('are what the ledger makes of the same events', () => {
    expect(vectors).toEqual(VECTORS.map(vectorOf))
  })

  describe.each(vectors)('«$name»', ({ items, last_hash, payload_texts }) => {
    it('has the canonical texts of its payloads', () => {
      expect(items.map((event) => kept(event).payload_text)).toEqual(payload_texts)
    })

    it('holds for the ledger', () => {
      const { run_id } = items[0]!
      const check = checkChain({ head: chainStart(run_id), first_bad: null }, items.map(kept))
      expect(checkHead(check, { event_count: items.length, last_hash }).first_bad).toBeNull()
    })

    it('holds for the verifier', async () => {
      expect(await verify(items, '--last-hash', last_hash)).toEqual(accepted(items))
    })

    it('holds for neither with any single change', async () => {
      const changes = items.flatMap((event) => changesOf(event, items))
      expect(await verdicts(changes)).toEqual(changes.map(verdictOn))
      for (const { what, events } of changes.filter(({ what }) => !/^(seq|removed)/.test(what))) {
        const check = checkChain({ head: chainStart(items[0]!.run_id), first_bad: null }, events.map(kept))
        expect(check.first_bad, what).not.toBeNull()
      }
    })
  })
})

interface Changed {
  what: string
  /** Where the first bad event has to be found. */
  run_seq: number
  events: Event[]
}

const verdictOn = ({ run_seq, what }: Changed) => ({ run_seq, what })

/** The same events with one thing about this one changed: each field, each member of its payload, each field missing. */
function changesOf(event: Event, events: readonly Event[]): Changed[] {
  const { run_seq } = event
  const replaced = (what: string, other: unknown): Changed => ({
    what: `${what} of event ${run_seq}`,
    run_seq,
    events: events.map((one) => (one === event ? (other as Event) : one)),
  })
  const missing = Object.keys(event).map((name) => {
    const { [name as keyof Event]: _, ...rest } = event
    return replaced(`removed ${name}`, rest)
  })
  const changed = leavesOf(event)
    .filter(([name]) => name !== 'seq')
    .map((path) => replaced(path.join('.'), changedAt(event, path)))
  // `seq` is not in the hash, because it is given at the commit: it only has to grow.
  const neighbour = events[run_seq - 2]
  const seq = neighbour === undefined ? [] : [replaced('seq', { ...event, seq: neighbour.seq })]
  return [...missing, ...changed, ...seq]
}

/** The paths to all values that hold no others. */
function leavesOf(value: unknown): string[][] {
  if (typeof value !== 'object' || value === null) return [[]]
  const members = Object.entries(value)
  if (members.length === 0) return [[]]
  return members.flatMap(([name, member]) => leavesOf(member).map((path) => [name, ...path]))
}

function changedAt(value: unknown, [name, ...path]: readonly string[]): unknown {
  if (name === undefined) return another(value)
  const copy = structuredClone(value) as Record<string, unknown>
  copy[name] = changedAt(copy[name], path)
  return copy
}

function another(value: unknown): unknown {
  if (typeof value === 'string') {
    const [last, ...rest] = [...value].reverse() // characters, and no half of one
    return [...rest.reverse(), last === '0' ? '1' : '0'].join('')
  }
  if (typeof value === 'number') return value + 1 === value ? value / 2 : value + 1
  if (typeof value === 'boolean') return !value
  return value === null ? '0' : { more: 1 }
}

/** What the verifier says to each of many chains: one process, the same function that its command line calls. */
async function verdicts(changes: readonly Changed[]): Promise<{ run_seq: number; what: string }[]> {
  const script = `
import json, sys
sys.path.insert(0, ${JSON.stringify(join(ROOT, 'verify'))})
from verify_events import first_bad
print(json.dumps([first_bad(events, None) for events in json.load(sys.stdin)]))`
  const found = await new Promise<(number | null)[]>((resolve, reject) => {
    const child = execFile('python3', ['-B', '-c', script], { maxBuffer: 2 ** 24 }, (error, stdout) => {
      if (error === null) resolve(JSON.parse(stdout) as (number | null)[])
      else reject(new Error('the verifier failed', { cause: error }))
    })
    child.stdin!.end(JSON.stringify(changes.map(({ events }) => events)))
  })
  return changes.map(({ what }, index) => ({ run_seq: found[index] ?? 0, what }))
}

describe('the events of a run that a server has kept', () => {
  let pages: string[]
  let events: Event[]

  beforeAll(async () => {
    const server = await startServer({ data_dir: temporaryDirectory() })
    const connection = connect(server.url)
    const run = await aWholeRun(connection)
    pages = await pagesOf(connection, `/v1/runs/${run.run_id}/events?limit=3`)
    events = pages.flatMap((page) => (JSON.parse(page) as { items: Event[] }).items)
    connection.close()
    await server.stop()
  })
  afterAll(cleanUp)

  it('hold, page after page as the server gave them', async () => {
    expect(pages.length).toBeGreaterThan(2)
    expect(await python([], pages.join('\n'))).toEqual(accepted(events))
    expect(await python([], pages.join(''))).toEqual(accepted(events))
  })

  it('hold with no single change of any field, and the first bad one is named', async () => {
    const changes = events.flatMap((event) => changesOf(event, events))
    expect(changes.length).toBeGreaterThan(200)
    expect(await verdicts(changes)).toEqual(changes.map(verdictOn))
  })

  it('do not hold without one of them', async () => {
    const changes = events.slice(0, -1).map((removed): Changed => {
      const { run_seq } = removed
      return { what: `without ${run_seq}`, run_seq, events: events.filter((event) => event !== removed) }
    })
    expect(await verdicts(changes)).toEqual(changes.map(verdictOn))
    expect(await verify(changes[2]!.events)).toEqual(rejected(3))
  })

  it('do not hold without the last one, to whoever knows how they have to end', async () => {
    const { hash, run_seq } = events.at(-1)!
    expect(await verify(events, '--last-hash', hash)).toEqual(accepted(events))
    expect(await verify(events.slice(0, -1), '--last-hash', hash)).toEqual(rejected(run_seq))
  })

  it('do not hold with two of them swapped, or one of them twice', async () => {
    const changes = events.slice(1).flatMap((event, index): Changed[] => {
      const before = events[index]!
      const around = [events.slice(0, index), events.slice(index + 2)] as const
      return [
        { what: 'swapped', run_seq: before.run_seq, events: [...around[0], event, before, ...around[1]] },
        {
          what: 'twice',
          run_seq: event.run_seq,
          events: [...around[0], before, before, event, ...around[1]],
        },
      ]
    })
    expect(await verdicts(changes)).toEqual(changes.map(verdictOn))
  })
})

/** A run that goes through most of what there is, with values that are awkward to hash. */
async function aWholeRun(connection: Connection): Promise<Run> {
  const metadata = { '\u{1f600}': 0.1, '\ufb33': 1e-7, nested: { b: [null, true], a: 'é "\\ \u2028' } }
  const run = bodyOf<Run>(
    await connection.post('/v1/runs', {
      project_id: 'shop',
      phase_id: 'build',
      labels: { team: 'core' },
      metadata,
    }),
  )
  const path = `/v1/runs/${run.run_id}`
  bodyOf(await connection.post(`${path}/start`, {}))
  const failed = bodyOf<StepAttempt>(await connection.post(`${path}/steps`, { tool_id: 'pytest' }))
  const step = `/v1/steps/${failed.step_attempt_id}`
  bodyOf(await connection.post(`${step}/complete`, { status: 'failed', exit_code: 1, error_log: 'a\tb\n' }))
  bodyOf(await connection.post(`${step}/retry`, {}))
  bodyOf(await connection.post(`${path}/events`, { kind: 'note', payload: {} }))
  bodyOf(await connection.post(`${path}/events`, { kind: 'note', payload: metadata }))
  return bodyOf<Run>(await connection.post(`${path}/complete`, { status: 'failed', exit_code: 1 }))
}

/** The texts of all pages, as they came. */
async function pagesOf(connection: Connection, path: string): Promise<string[]> {
  const pages: string[] = []
  for (let next: string | undefined = path; next !== undefined;) {
    const reply: Reply = await connection.get(next)
    bodyOf(reply)
    pages.push(reply.text)
    next = /<(.*)>; rel="next"/.exec(String(reply.headers['link']))?.[1]
  }
  return pages
}

describe('the verifier', () => {
  it('explains itself', async () => {
    const { code, stdout } = await python(['--help'], '')
    expect(code).toBe(0)
    expect(stdout).toContain('--last-hash')
  })

  it('finds nothing right about no events at all', async () => {
    expect(await verify([])).toEqual(rejected(1))
    expect(await python([], '')).toEqual(rejected(1))
  })
})
