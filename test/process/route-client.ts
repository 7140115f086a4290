import { once } from 'node:events'
import type { RouteDecision } from '../../src/contract/routing.ts'
import { bodyOf, connect } from '../support/client.ts'

// A program: `route-client.ts URL COUNT`. It opens its connections and says so; then, as soon as it is told to by a
// line, it routes one task on each of them, all at once, and prints the ids of the decisions.

const [url = '', count] = process.argv.slice(2)
const connections = Array.from({ length: Number(count) }, () => connect(url))
await Promise.all(connections.map((connection) => connection.get('/livez')))
process.stdout.write('ready\n')
await once(process.stdin, 'data')

const replies = await Promise.all(
  connections.map((connection) => connection.post('/v1/routing/decisions', { task_kind: 'code_edit' })),
)
const ids = replies.map((reply) => bodyOf<RouteDecision>(reply).route_decision_id)
process.stdout.write(`${JSON.stringify(ids)}\n`)
for (const connection of connections) connection.close()
