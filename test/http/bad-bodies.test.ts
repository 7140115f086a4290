import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { leavesNoTrace, untouched } from './untouched.ts'

const server = untouched()
const chars = (count: number, char = 'x') => char.repeat(count)

describe('a body that is refused as a whole', () => {
  const json = { 'content-type': 'application/json' }
  const post = (raw: string | Buffer, headers: Record<string, string> = json) => ({
    method: 'POST',
    path: '/v1/runs',
    sent: { raw, headers },
  })
  const good = '{"project_id":"p","phase_id":"b"}'
  const nested = (depth: number) =>
    good.replace('}', `,"metadata":{"a":${chars(depth - 2, '[')}${chars(depth - 2, ']')}}}`)

  it.each([
    ['cut off', '{"project_id":"p"'],
    ['with a comma too many', '{"project_id":"p",}'],
    ['with single quotes', "{'project_id':'p'}"],
    ['with a comment', '{"project_id":"p"/**/}'],
    ['with NaN', '{"metadata":{"n":NaN}}'],
    ['with Infinity', '{"metadata":{"n":-Infinity}}'],
    ['with a leading zero', '{"metadata":{"n":01}}'],
    ['with a line break in a text', '{"project_id":"a\nb"}'],
    ['two of them', `${good}${good}`],
    ['of white space', ' \n'],
    ['a form', 'project_id=p&phase_id=b'],
    ['a word', 'undefined'],
    ['a byte order mark alone', '\ufeff'],
    ['65 levels deep', nested(65)],
    ['60 000 levels deep', nested(60_000)],
    ['60 000 levels of objects, never closed', '{"a":'.repeat(60_000)],
    ['with a member __proto__', '{"project_id":"p","phase_id":"b","metadata":{"__proto__":{"admin":true}}}'],
    ['with an escaped __proto__', String.raw`{"metadata":{"\u005f_proto__":{"admin":true}}}`],
    ['with constructor.prototype', '{"metadata":{"constructor":{"prototype":{"admin":true}}}}'],
  ])('%s is malformed_json', (_name, raw) =>
    server.refused(post(raw), { status: 400, code: 'malformed_json' }),
  )

  it.each([
    ['a stray byte', [0xff]],
    ['half a character', [0xc3]],
    ['an overlong slash', [0xc0, 0xaf]],
    ['a surrogate on its own', [0xed, 0xa0, 0x80]],
    ['beyond Unicode', [0xf5, 0x80, 0x80, 0x80]],
  ])('%s in it is not UTF-8', (_name, bytes) => {
    const raw = Buffer.concat([Buffer.from('{"project_id":"'), Buffer.from(bytes), Buffer.from('"}')])
    return server.refused(post(raw), { status: 400, code: 'malformed_json' })
  })

  it('UTF-16 is not UTF-8', () => {
    const raw = Buffer.from(`\ufeff${good}`, 'utf16le')
    return server.refused(post(raw), { status: 400, code: 'malformed_json' })
  })

  it.each(['[]', '"text"', '5', 'true', 'null', `[${good}]`])('%s is no object', (raw) =>
    server.refused(post(raw), { status: 400, code: 'validation_failed', at: '#' }),
  )

  it.each([
    ['1e400', '{"project_id":"p","phase_id":"b","metadata":{"n":1e400}}', '#/metadata/n'],
    ['-1E999', '{"project_id":"p","phase_id":"b","metadata":{"n":[-1E999]}}', '#/metadata/n/0'],
    [
      '2^53 written out',
      '{"project_id":"p","phase_id":"b","metadata":{"n":9007199254740992}}',
      '#/metadata/n',
    ],
    ['an escaped NUL', String.raw`{"project_id":"\u0000","phase_id":"b"}`, '#/project_id'],
    ['half a pair, escaped', String.raw`{"project_id":"\uD83D","phase_id":"b"}`, '#/project_id'],
  ])('%s points at its field', (_name, raw, at) =>
    server.refused(post(raw), { status: 400, code: 'validation_failed', at }),
  )

  it.each([
    ['text/plain', {}],
    ['application/x-www-form-urlencoded', {}],
    ['multipart/form-data; boundary=x', {}],
    ['application/merge-patch+json', {}],
    ['application/vnd.api+json', {}],
    ['application/jsonl', {}],
    ['application/json-seq', {}],
    ['application/json, text/plain', {}],
    ['application', {}],
    ['application/json; charset=latin1', {}],
    ['application/json; charset=utf-16', {}],
    ['application/json', { 'content-encoding': 'br' }],
  ])('%s %o is not taken', (type, more) =>
    server.refused(post(good, { 'content-type': type, ...more }), {
      status: 415,
      code: 'unsupported_media_type',
    }),
  )

  it('compressed is not taken', () => {
    const headers = { ...json, 'content-encoding': 'gzip' }
    return server.refused(post(gzipSync(good), headers), { status: 415, code: 'unsupported_media_type' })
  })

  it('without a content type is not taken', () =>
    server.refused(post(good, {}), { status: 415, code: 'unsupported_media_type' }))

  it.each([1, 1_048_576])('%i byte above 1 MiB is too large', (above) => {
    const raw = good.padEnd(1_048_576 + above)
    return server.refused(post(raw), { status: 413, code: 'body_too_large' })
  })

  it('in chunks is too large as well, as soon as it is', () => {
    const headers = { ...json, 'transfer-encoding': 'chunked' }
    return server.refused(post(good.padEnd(1_048_577), headers), { status: 413, code: 'body_too_large' })
  })

  it.each([
    ['1 MiB', good.padEnd(1_048_576)],
    ['64 levels', nested(64)],
    ['brackets inside a text', `{"project_id":"${chars(99, '[{')}\\"","phase_id":"b"}`],
    ['a byte order mark', `\ufeff${good}`],
    ['white space around it', `\r\n\t ${good} \n`],
  ])('of %s is taken', async (_name, raw) => {
    expect((await server.app.request('POST', '/v1/runs', { raw, headers: json })).status).toBe(201)
  })

  it.each([json, {}, { ...json, 'transfer-encoding': 'chunked' }])(
    'that is missing means {}: %o',
    async (headers) => {
      const run = await server.client.aRun()
      const started = await server.app.request('POST', `/v1/runs/${run.run_id}/start`, { raw: '', headers })
      expect(started.status).toBe(200)
      const [method, path] = ['POST', '/v1/runs']
      const expected = { status: 400, code: 'validation_failed', at: '#/project_id' }
      await server.refused({ method, path, sent: { raw: '', headers } }, expected)
    },
  )
})

leavesNoTrace(server)
