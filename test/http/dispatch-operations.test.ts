import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type TestApp, openTestApp } from '../support/http.ts'
import { type Client, clientOf } from './client.ts'
import { BODIES, CLAIM, type Ending } from './dispatch-client.ts'
import { everyOperation, meetAllTheyPromise } from './every-operation.ts'
import { aClaimed } from './operations-dispatch.ts'
import { tagged } from './operations.ts'

let app: TestApp
let client: Client
beforeAll(async () => {
  app = await openTestApp()
  client = clientOf(app)
})
afterAll(() => app.close())

describe('what workers are told', () => {
  it('is that there is nothing to do', async () => {
    const body = { worker_id: 'idle', tools: ['nobody_asked'] }
    expect(await client.post(CLAIM, body)).toMatchObject({ status: 204, text: '' })
  })

  it.each(Object.keys(BODIES) as Ending[])('is that a lease is not theirs: %s', async (ending) => {
    const { execution_request } = await aClaimed(client)
    const path = `/v1/execution-requests/${execution_request.request_id}/${ending}`
    const refused = await client.post(path, { lease_token: '0'.repeat(32), ...BODIES[ending] })
    expect(refused).toMatchObject({ status: 409, body: { code: 'lease_lost' } })
  })

  it('is that a success has another exit code', async () => {
    const { execution_request, lease_token } = await aClaimed(client)
    const path = `/v1/execution-requests/${execution_request.request_id}/complete`
    const refused = await client.post(path, { lease_token, exit_code: 2 })
    expect(refused).toMatchObject({ status: 422, body: { code: 'exit_code_contradicts' } })
    expect(refused.body.errors).toMatchObject([{ pointer: '#/exit_code' }])
  })
})

describe('who asks about workers', () => {
  it('is told that there is none of that name', async () => {
    const missing = await client.get('/v1/workers/nobody')
    expect(missing).toMatchObject({ status: 404, body: { code: 'worker_not_found' } })
  })

  it('goes on with a cursor of that list only', async () => {
    const refused = await client.get('/v1/workers?cursor=bm9uZQ')
    expect(refused).toMatchObject({ status: 400, body: { code: 'invalid_cursor' } })
  })
})

everyOperation(tagged('dispatch'))
meetAllTheyPromise(tagged('dispatch'), {
  'heartbeatExecutionRequest 507 disk_full':
    'it needs no room but that of the WAL, which a test cannot bound here',
})
