import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import type { Event } from '../../src/contract/event.ts'
import type { Run } from '../../src/contract/run.ts'
import { startLoad } from '../process/load.ts'
import { bodyOf, connect, readEvents } from '../support/client.ts'
import {
  type ServerProcess,
  cleanUp,
  signalbox,
  startCommand,
  startServer,
  temporaryDirectory,
} from '../support/process.ts'

// Starting processes takes long where the machine is busy; whatever is waited for has its own bound.
vi.setConfig({ testTimeout: 60_000 })

// One server for all but those that need it to go away: starting it is most of what a test does.
let to: ServerProcess
beforeAll(async () => {
  to = await startServer({ data_dir: temporaryDirectory() })
})
afterAll(cleanUp)

async function post<T>({ url }: ServerProcess, path: string, body: unknown = {}): Promise<T> {
  const connection = connect(url)
  const answer = bodyOf<T>(await connection.post(path, body))
  connection.close()
  return answer
}

const aRun = (to: ServerProcess): Promise<Run> =>
  post(to, '/v1/runs', { project_id: 'shop', phase_id: 'build', labels: { team: 'core' } })

const note = (to: ServerProcess, { run_id }: Run, text: string): Promise<unknown> =>
  post(to, `/v1/runs/${run_id}/events`, { kind: 'note', payload: { text } })

const eventsOf = async ({ url }: ServerProcess): Promise<Event[]> => {
  const connection = connect(url)
  const events = await readEvents(connection)
  connection.close()
  return events
}

const tail = ({ url }: ServerProcess, ...flags: string[]) => startCommand(['tail', '--server', url, ...flags])

/** A run with a step that failed, and its end. */
async function closedRun(to: ServerProcess): Promise<Run> {
  const run = await aRun(to)
  const path = `/v1/runs/${run.run_id}`
  await post(to, `${path}/start`)
  const step = await post<{ step_attempt_id: string }>(to, `${path}/steps`, { tool_id: 'pytest' })
  await post(to, `/v1/steps/${step.step_attempt_id}/complete`, {
    status: 'failed',
    exit_code: 1,
    stderr_tail: 'collecting\n\x1b[31mtwo tests\tfailed\x1b[0m\n',
  })
  return post<Run>(to, `${path}/complete`, { status: 'failed', exit_code: 2, error_message: 'tests failed' })
}

describe('tail', () => {
  it('prints every event once while the server is killed and started again on its port', async () => {
    let current = await startServer({ data_dir: temporaryDirectory() })
    await aRun(current)
    const before = (await eventsOf(current)).length
    const command = tail(current, '--json')
    await command.remarks('following all events')

    for (const politely of [false, true]) {
      const load = startLoad(current, { connections: 4 })
      await load.reaches(120)
      await (politely ? current.stop() : current.kill())
      await load.ended
      await command.remarks('the connection is lost')
      current = await current.restart('--port', String(current.port))
    }
    await aRun(current)
    const expected = (await eventsOf(current)).slice(before)
    await command.reaches(expected.length)
    command.signal('SIGINT')
    expect(await command.end()).toEqual({ code: null, signal: 'SIGINT' }) // a shell says 130
    expect(command.printed).toEqual(expected.map((event) => JSON.stringify(event)))
  })

  it('begins with what comes next, and behind a number where one is given', async () => {
    const run = await aRun(to)
    await note(to, run, 'before')
    const [created, last] = (await eventsOf(to)).slice(-2)
    const next = tail(to)
    await next.remarks(`behind number ${last!.seq}`)
    const since = tail(to, '--since', String(created!.seq))
    await note(to, run, 'after')
    const day = expect.stringContaining(' (UTC)')
    expect((await next.reaches(2)).map(notes)).toEqual([day, 'after'])
    expect((await since.reaches(3)).map(notes)).toEqual([day, 'before', 'after'])
  })

  it('prints the kinds and projects that are asked for', async () => {
    const run = await post<Run>(to, '/v1/runs', { project_id: 'kinds', phase_id: 'build' })
    await note(to, run, 'one')
    await post(to, `/v1/runs/${run.run_id}/start`)
    await note(to, await post(to, '/v1/runs', { project_id: 'other', phase_id: 'build' }), 'two')
    const flags = ['--since', '0', '--json', '--kind', 'note', '--kind', 'run_started', '--project', 'kinds']
    const command = tail(to, ...flags)
    await note(to, run, 'three')
    const events = (await command.reaches(3)).map((line) => JSON.parse(line) as Event)
    expect(events.map(({ kind, payload }) => payload!['text'] ?? kind)).toEqual([
      'one',
      'run_started',
      'three',
    ])
  })

  it('of a run ends with it, and with 0', async () => {
    const run = await aRun(to)
    const command = tail(to, '--run', run.run_id, '--json')
    await command.reaches(1)
    await note(to, run, 'on the way')
    await post(to, `/v1/runs/${run.run_id}/cancel`, { reason: 'superseded' })
    expect(await command.end()).toEqual({ code: 0, signal: null })
    const printed = command.printed.map((line) => (JSON.parse(line) as Event).kind)
    expect(printed).toEqual(['run_created', 'note', 'run_canceled'])
  })

  it('tells the story of a closed run in lines, found by the end of its id', async () => {
    const { run_id } = await closedRun(to)
    const { code, stdout } = await signalbox([
      'tail',
      '--server',
      to.url,
      '--run',
      run_id.slice(-6).toLowerCase(),
    ])
    expect(code).toBe(0)
    expect(
      stdout
        .replaceAll(/^\d\d:\d\d:\d\d /gm, '')
        .replace(/after \d+\.\d s/, 'after N s')
        .split('\n'),
    ).toEqual([
      expect.stringMatching(/^\d{4}-\d\d-\d\d \(UTC\)$/),
      ' run_created        → pending              shop/build  team:core',
      ' run_started        pending → running',
      ' step_started       → running              pytest  step 1',
      ' step_completed     running → failed       pytest  exit code 1 after N s  two tests failed',
      ' run_completed      running → failed       exit code 2  tests failed',
      '',
    ])
  })

  it('of a closed run prints the kinds that are asked for, and ends', async () => {
    const { run_id } = await closedRun(to)
    const args = ['tail', '--server', to.url, '--run', run_id, '--kind', 'step_completed']
    const { code, stdout } = await signalbox(args)
    expect(code).toBe(0)
    expect(stdout.trimEnd().split('\n').slice(1)).toEqual([expect.stringContaining('pytest  exit code 1')])
  })

  it('ends without a word when nobody reads it any more', async () => {
    const run = await aRun(to)
    const command = tail(to, '--since', '0')
    await command.reaches(1)
    command.stopReading()
    await note(to, run, 'nobody reads this')
    expect(await command.end()).toEqual({ code: 0, signal: null })
    expect(command.stderr()).toBe('signalbox: following all events behind number 0\n')
  })

  it('fails with 69 where there never was a server', async () => {
    const { code, stdout, stderr } = await signalbox(['tail', '--server', 'http://127.0.0.1:1'])
    expect({ code, stdout }).toEqual({ code: 69, stdout: '' })
    expect(stderr).toContain('No server answers at http://127.0.0.1:1 (')
  })
})

/** The last words of a line. */
const notes = (line: string): string => / note {20,}(\S+)/.exec(line)?.[1] ?? line
