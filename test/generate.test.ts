import { execFile } from 'node:child_process'
import {
  appendFileSync,
  cpSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Ajv2020 } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { generate } from '../src/generate.ts'
import { clientOf } from './http/client.ts'
import { openTestApp } from './support/http.ts'
import { FULL_TASK, aRequest } from './support/requests.ts'
import { activate } from './support/router.ts'
import { documents } from '../src/contract/documents/index.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const file = (path: string): string => readFileSync(join(ROOT, path), 'utf8')

// Other programs take their time on a busy machine.
const TIMEOUT_MS = 60_000

describe('what is committed', { timeout: TIMEOUT_MS }, () => {
  it('is what the code makes', async () => {
    expect(await generate({ check: true })).toEqual([])
  })

  describe('in a copy that somebody edits', () => {
    let copy: string
    const check = () =>
      promisify(execFile)(process.execPath, ['src/cli.ts', 'generate', '--check'], { cwd: copy }).catch(
        (refused: { stderr: string; code: number }) => refused,
      )

    beforeAll(() => {
      copy = mkdtempSync(join(tmpdir(), 'signalbox-drift-'))
      for (const part of ['src', 'migrations', 'openapi', 'schemas', 'docs', 'README.md', 'package.json']) {
        cpSync(join(ROOT, part), join(copy, part), { recursive: true })
      }
      symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'))
    })
    afterAll(() => rmSync(copy, { recursive: true }))

    it('is told apart from what the code makes, by a single byte', async () => {
      appendFileSync(join(copy, 'openapi/openapi.yaml'), ' ')
      writeFileSync(
        join(copy, 'docs/state-machines.md'),
        file('docs/state-machines.md').replace('running', 'walking'),
      )
      rmSync(join(copy, 'schemas/run_event.v1.json'))
      const refused = await check()
      expect(refused).toHaveProperty('code', 1)
      expect(refused.stderr).toContain(
        'openapi/openapi.yaml, docs/state-machines.md, schemas/run_event.v1.json. Run `npm run generate`.',
      )
    })
  })
})

describe('the schemas of documents', () => {
  const ajv = new Ajv2020({ strict: true, strictRequired: false, allowUnionTypes: true })
  formats.default(ajv)
  ajv.addKeyword('x-max-bytes')
  const schemas = readdirSync(join(ROOT, 'schemas')).map(
    (name) => [name.replace('.json', ''), ajv.compile(JSON.parse(file(`schemas/${name}`)))] as const,
  )
  const named = new Map(schemas)

  it('are those of all documents, and stand alone', () => {
    expect([...named.keys()].sort()).toEqual([...documents.keys()].sort())
    for (const [name] of schemas)
      expect(file(`schemas/${name}.json`)).not.toMatch(/"\$ref": "(?!#\/\$defs\/)/)
  })

  it('take what the API answers', async () => {
    const app = await openTestApp()
    const client = clientOf(app)
    const step = await client.aStep('failed')
    const run = (await client.get(`/v1/runs/${step.run_id}`)).body
    await activate(app)
    const request = await aRequest(client, { ...FULL_TASK, run_id: step.run_id })
    const events = (await client.get(`/v1/runs/${step.run_id}/events`)).body.items
    const records = [
      ['execution_request.v1', request],
      ['run_record.v1', run],
      ['step_attempt.v1', step],
    ] as [string, unknown][]
    for (const event of events) records.push(['run_event.v1', event])
    for (const [name, record] of records) {
      const validate = named.get(name)!
      validate(record)
      expect({ name, errors: validate.errors }).toEqual({ name, errors: null })
    }
    await app.close()
  })

  it('take what has only their own fields, and nothing with a field that they do not know', () => {
    const old = {
      run_id: '01JD8Z6V3QK0T2M4N6P8R0S2T4',
      project_id: 'shop',
      phase_id: 'build',
      state: 'running',
      created_at: '2026-01-05T09:30:00Z',
    }
    const validate = named.get('run_record.v1')!
    expect(validate(old)).toBe(true)
    expect(validate({ ...old, colour: 'red' })).toBe(false)
  })
})
