import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import type { Run } from '../../src/contract/run.ts'
import { newKey } from '../../src/keys.ts'
import { bodyOf, connect } from '../support/client.ts'
import {
  type Ended,
  ROOT,
  type ServerProcess,
  cleanUp,
  signalbox,
  startServer,
  temporaryDirectory,
} from '../support/process.ts'

// Starting processes takes long where the machine is busy; whatever is waited for has its own bound.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

let server: ServerProcess
let failed: Run
let planned: Run

beforeAll(async () => {
  const flags = ['--router-config', join(ROOT, 'examples/router_config.json')]
  server = await startServer({ data_dir: temporaryDirectory(), flags })
  failed = await failedRun()
  planned = await plannedRun()
})
afterAll(cleanUp)

async function post<T>(path: string, body: unknown = {}): Promise<T> {
  const connection = connect(server.url)
  const answer = bodyOf<T>(await connection.post(path, body))
  connection.close()
  return answer
}

async function get(path: string): Promise<string> {
  const connection = connect(server.url)
  const { text } = await connection.get(path)
  connection.close()
  return text
}

/** A run with a step that failed, another try that succeeded, and its end. */
async function failedRun(): Promise<Run> {
  const { run_id } = await post<Run>('/v1/runs', {
    project_id: 'shop',
    phase_id: 'build',
    labels: { team: 'core' },
  })
  await post(`/v1/runs/${run_id}/start`)
  const first = await post<{ step_attempt_id: string }>(`/v1/runs/${run_id}/steps`, { tool_id: 'pytest' })
  await post(`/v1/steps/${first.step_attempt_id}/complete`, {
    status: 'failed',
    exit_code: 1,
    error_class: 'tool_error',
    stdout_tail: 'collected 2 items\n\ntwo tests failed\n',
    usage: { tokens_input: 10, cost_usd_micros: 31_000 },
  })
  const second = await post<{ step_attempt_id: string }>(`/v1/steps/${first.step_attempt_id}/retry`)
  await post(`/v1/steps/${second.step_attempt_id}/complete`, { status: 'succeeded', exit_code: 0 })
  return post(`/v1/runs/${run_id}/complete`, { status: 'failed', exit_code: 2, error_message: 'not enough' })
}

/** A run with a plan that no worker carries out. */
async function plannedRun(): Promise<Run> {
  const run = await post<Run>('/v1/runs', { project_id: 'other', phase_id: 'docs', completion: 'auto' })
  const tasks = [
    { task_id: 'edit', name: 'Edit', kind: 'docs_edit' },
    { task_id: 'test', name: 'Test', kind: 'test_run', depends_on: ['edit'] },
  ]
  await post(`/v1/runs/${run.run_id}/tasks`, { tasks })
  return run
}

const ask = (...args: string[]): Promise<Ended> => signalbox(args, { env: { SIGNALBOX_SERVER: server.url } })

/** With N for what differs from run to run. */
const normalised = (text: string): string =>
  text
    .replaceAll(/\d{4}-\d\d-\d\d( \d\d:\d\d(:\d\d)?)?/g, 'DATE')
    .replaceAll(/^\d\d:\d\d:\d\d/gm, 'TIME')
    .replaceAll(/\d+\.\d s\b/g, 'N s')

describe('runs', () => {
  it('lists them in columns, the newest first', async () => {
    const { code, stdout, stderr } = await ask('runs')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(
      normalised(stdout)
        .split('\n')
        .map((line) => line.replaceAll(/ {2,}/g, '  ')),
    ).toEqual([
      'RUN  STATE  CREATED  TOOK  STEPS  ERRORS  PROJECT  WHY',
      `${planned.run_id}  pending  DATE  –  0  0  other/docs`,
      `${failed.run_id}  failed  DATE  N s  2  1  shop/build  not enough`,
      '',
    ])
  })

  it.each([
    ['--state failed --state running'],
    ['--project shop --limit 1'],
    ['--label team:core --label team:other'],
  ])('takes filters: %s', async (flags) => {
    const { stdout } = await ask('runs', '--json', ...flags.split(' '))
    expect(stdout).toBe(`${await get(`/v1/runs/${failed.run_id}`)}\n`)
  })

  it('finds what needs somebody, for any reason or for one', async () => {
    for (const flags of [
      ['--needs-attention'],
      ['--needs-attention', 'failed_requests'],
      ['--stalled-for', '60'],
    ]) {
      const { code, stdout, stderr } = await ask('runs', ...flags)
      expect({ code, stdout, stderr }).toEqual({
        code: 0,
        stdout: '',
        stderr: 'signalbox: there is no such run\n',
      })
    }
  })

  it('says that there are more', async () => {
    const { stdout, stderr } = await ask('runs', '--limit', '1')
    expect(stdout.trimEnd().split('\n')).toHaveLength(2)
    expect(stderr).toBe('signalbox: there are more; --limit shows them\n')
  })
})

describe('run', () => {
  it('tells how it went, step by step, with what failed and what happened', async () => {
    const { code, stdout, stderr } = await ask('run', failed.run_id)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(normalised(stdout)).toBe(`Run ${failed.run_id}  failed
  project    shop/build
  labels     team:core
  asked      other
  created    DATE UTC
  started    DATE UTC
  ended      DATE UTC
  took       N s
  exit code  2
  why        not enough
  attempts   1 succeeded, 1 failed; 1 of them retries, 0 by another tool
  used       10 tokens in, 0 out, $0.0310

Steps
  1.1  pytest  failed     N s  exit code 1  $0.0310  10 tokens in, 0 out
  1.2  pytest  succeeded  N s

Failures
  1.1  pytest: exit code 1, tool_error after N s
    | collected 2 items
    | two tests failed

Events
DATE (UTC)
TIME  run_created        → pending              shop/build  team:core
TIME  run_started        pending → running
TIME  step_started       → running              pytest  step 1
TIME  step_completed     running → failed       pytest  exit code 1 after N s  two tests failed
TIME  step_started       → running              pytest  step 1  attempt 2
TIME  step_completed     running → succeeded    pytest  exit code 0 after N s
TIME  run_completed      running → failed       exit code 2  not enough
`)
  })

  it('draws its plan, and says what it waits for', async () => {
    const { stdout } = await ask('run', planned.run_id.slice(-8))
    expect(stdout).toContain('  tasks      0 of 2 done (0 %)\n')
    expect(stdout).toContain('\nPlan\n  edit   queued ───▶ test  blocked\n')
    expect(stdout).toMatch(/^What it waits for\n {2}edit \(queued\): No worker asks for the tool \w+ now/m)
    expect(stdout).toMatch(/request_created +→ blocked +test$/m)
  })

  it('shows the last of what there is much of', async () => {
    const { stdout } = await ask('run', failed.run_id, '--limit', '1')
    expect(stdout).toContain('\nSteps (the last 1 of 2)\n  1.2  pytest  succeeded')
    expect(stdout).toContain('\nFailures (the last 0 of 1)\n')
    expect(stdout).toContain('\nEvents (the last 1 of 7)\n')
  })

  it('gives all of it as the API does', async () => {
    const { stdout } = await ask('run', failed.run_id, '--json')
    const path = `/v1/runs/${failed.run_id}`
    const [run, summary, plan] = await Promise.all(['', '/summary', '/plan'].map((part) => get(path + part)))
    const items = async (list: string) => JSON.stringify(JSON.parse(await get(`${path}/${list}`)).items)
    const lists = `"steps":${await items('steps')},"events":${await items('events')},"open":[]`
    const asOf = (text: string) => text.replaceAll(/"as_of":"[^"]+"/g, '"as_of":"…"')
    expect(asOf(stdout)).toBe(asOf(`{"run":${run},"summary":${summary},"plan":${plan},${lists}}\n`))
  })
})

describe('explain', () => {
  const task = (text: string): string => {
    const file = join(temporaryDirectory(), 'task')
    writeFileSync(file, text)
    return file
  }
  const docs = 'task_kind: docs_edit\nproject_id: shop\n'

  it('tells the decision in sentences, and what would change it', async () => {
    const { code, stdout, stderr } = await ask('explain', '--task', task(docs))
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^The task goes to (\w+): rule documents takes its tools in turn\./)
    expect(stdout).toContain('\nRules of configuration 1\n')
    expect(stdout).toMatch(/^ {2}✓ Rule documents decided: /m)
    expect(stdout).toMatch(/^ {2}✓ \w+ was chosen: it is the one\.$/m)
    expect(stdout).toMatch(/^ {2}· \w+ would be chosen if \w+ were away\.$/m)
    expect(stdout).toMatch(/^ {2}· No single change would choose /m)
  })

  it('reads JSON from standard input, and answers as the API does', async () => {
    const body = '{"task_kind":"docs_edit","project_id":"shop"}'
    const through = ['bash', '-c', `echo '${body}' | exec "$@"`, '--']
    const { code, stdout } = await signalbox(['explain', '--task', '-', '--json', '--server', server.url], {
      through,
    })
    expect(code).toBe(0)
    const answer = await post<object>('/v1/routing/explain', JSON.parse(body))
    // What decays, and what is drawn by lot, differs from one question to the next.
    expect(JSON.parse(stdout)).toEqual({ ...answer, inputs: expect.anything(), seed: expect.any(Number) })
  })

  it('ends with 2 where no tool would take the task', async () => {
    const { code, stdout } = await ask('explain', '--task', task('task_kind: juggling\n'))
    expect(code).toBe(2)
    expect(stdout).toContain('There is no tool for this juggling task')
  })

  it.each([
    ['that is not there', '/no/such/file', 66, 'The task file /no/such/file cannot be read: ENOENT.'],
    ['that is neither JSON nor YAML', task('{"a": ['), 1, 'is neither JSON nor YAML. Line '],
    ['that is no task', task('kind: x\n'), 1, '(validation_failed: '],
  ])('refuses a file %s', async (_fault, file, code, said) => {
    const ended = await ask('explain', '--task', file)
    expect({ ...ended, stderr: '' }).toEqual({ code, signal: null, stdout: '', stderr: '' })
    expect(ended.stderr).toContain(said)
    expect(ended.stderr.trimEnd()).not.toContain('\n')
  })
})

describe('what goes wrong', () => {
  const UNKNOWN = '01JD8Z6V3QK0T2M4N6P8R0S2T4'

  it.each([
    ['a run that is not there', ['run', UNKNOWN], 66, '/problems/run-not-found)'],
    ['an end that no run has', ['run', 'ZZZZ'], 66, 'None of the newest 2 runs has an id that ends in ZZZZ.'],
    ['what is no id', ['run', 'x'], 64, "'x' is neither the id of a run nor the end of one"],
    ['a state that no run has', ['runs', '--state', 'done'], 64, 'It has to be one of pending, running'],
    ['a run and a project', ['tail', '--run', UNKNOWN, '--project', 'p'], 64, 'cannot be used with'],
    ['a URL that is none', ['runs', '--server', 'box'], 64, 'a URL like http://127.0.0.1:8710'],
    ['a key file that is not there', ['runs', '--key-file', '/no/key'], 78, 'cannot be read: ENOENT'],
    ['a server that is none', ['runs', '--server', 'http://127.0.0.1:1'], 69, '--server or SIGNALBOX_SERVER'],
  ])('is said in a line, with a code: %s', async (_fault, args, code, said) => {
    const ended = await ask(...args)
    expect({ ...ended, stderr: '' }).toEqual({ code, signal: null, stdout: '', stderr: '' })
    expect(ended.stderr).toContain(said)
  })

  it('names the key that is missing, and takes it from the file of a variable', async () => {
    const { key, entry } = newKey({ scopes: ['read'], randomBytes: (size) => Buffer.alloc(size, 7) })
    const file = join(temporaryDirectory(), 'key')
    writeFileSync(file, `${key}\n`)
    const keyed = await startServer({
      data_dir: temporaryDirectory(),
      // What clients are told is no setting of a server, and does not stop it.
      env: { SIGNALBOX_API_KEYS: JSON.stringify([entry]), SIGNALBOX_KEY_FILE: file, SIGNALBOX_SERVER: '' },
    })
    const without = await signalbox(['runs', '--server', keyed.url])
    expect(without).toMatchObject({ code: 78, stdout: '' })
    expect(without.stderr).toContain('Name a key that may by --key-file or SIGNALBOX_KEY_FILE.')
    const env = { SIGNALBOX_KEY_FILE: file, SIGNALBOX_SERVER: keyed.url }
    expect(await signalbox(['runs', '--json'], { env })).toMatchObject({ code: 0, stdout: '' })
  })
})
