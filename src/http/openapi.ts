import swagger from '@fastify/swagger'
import type { FastifyInstance } from 'fastify'
import { namedSchemas } from '../contract/index.ts'
import type { Tag } from './operation.ts'

const TAGS: Record<Tag, string> = {
  runs: 'Runs: one execution of a phase or workstream, from creation to its end.',
  steps: 'Step attempts: each invocation of a tool within a run, retries included.',
  events: 'Events: the immutable record of every change, chained by hashes.',
  streams: 'Streams: the same events as they happen, as server-sent events that can be taken up again.',
  routing:
    'Routing: the configurations of the router, and the decisions which tool does a task, with reasons.',
  requests: 'Execution requests: the units of work that are built from tasks and carried out by workers.',
  plans: 'Plans: tasks that are submitted together for a run and need each other, and how far they are.',
  dispatch: 'Dispatch: workers claim requests, keep them with heartbeats, and report what came of them.',
  tools: 'Tools: the apps of the active configuration, with what the ledger knows of them.',
  statistics: 'Statistics: what was begun in a window of time and what became of it, in numbers.',
  machines: 'State machines: the tables that guard every change, as data.',
  schemas:
    'Schemas: the documents that pipelines exchange, as JSON Schema, and whether a document follows its own.',
  health: 'Health: for load balancers, supervisors and Prometheus.',
}

const DESCRIPTION = `A run ledger and task router: clients record the runs they make, step by step, and ask which
tool should do a task. Every move is guarded by a state machine and written as an event in the same transaction;
every decision is kept with its reasons.

Errors are \`application/problem+json\` (RFC 9457); look at \`code\`, and follow \`type\` to its page. Beside the
errors of each operation, any request may meet 400 \`malformed_request\`, 404 \`not_found\`,
405 \`method_not_allowed\`, 408 \`request_timeout\`, 417 \`expectation_failed\` and 431 \`headers_too_large\`.
Unknown fields and query parameters are refused, never ignored; ignore fields of answers that you do not know.
Writes take an \`Idempotency-Key\`: send one with everything that you might repeat.`

/** Publishes the routes that are registered after it as OpenAPI 3.1.1, each named schema as a component. */
export async function describeApi(app: FastifyInstance, version: string): Promise<void> {
  for (const schema of namedSchemas) app.addSchema(schema)
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.1',
      info: {
        title: 'Signalbox',
        description: DESCRIPTION,
        version,
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } as never, // 3.1 knows identifier, its types do not
      },
      servers: [{ url: '/', description: 'This server.' }],
      tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
      components: {
        securitySchemes: {
          key: {
            type: 'http',
            scheme: 'bearer',
            description: 'An API key: `sbx_…`. Only where the server has keys.',
          },
        },
      },
      security: [{ key: [] }, {}],
    },
    refResolver: {
      buildLocalReference: (json, _base, _fragment, i) => (json.$id as string | undefined) ?? `def-${i}`,
    },
    transformObject: (given) => completed((given as { openapiObject: Document }).openapiObject) as never,
  })
}

interface Schema {
  $ref?: string
  examples?: unknown[]
  required?: string[]
  description?: string
  properties?: Record<string, Schema>
}
interface Media {
  schema?: { $ref?: string }
  example?: unknown
}
interface Operation {
  parameters?: (Media & { description?: string })[]
  requestBody?: { required: boolean; content: Record<string, Media> }
  responses: Record<string, { content?: Record<string, Media> }>
}
interface Document {
  paths: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, Schema> }
}

/** What the generator leaves out of each operation, and a component knows: its one home is the contract. */
function completed(document: Document): Document {
  const component = ({ schema }: Media): Schema =>
    document.components.schemas[schema?.$ref?.split('/').at(-1) ?? ''] ?? {}

  for (const operation of Object.values(document.paths).flatMap((path) => Object.values(path))) {
    const { parameters = [], requestBody, responses } = operation
    const bodies = [requestBody, ...Object.values(responses)]
    for (const media of bodies.flatMap((body) => Object.values(body?.content ?? {}))) {
      const [example] = component(media).examples ?? []
      if (example !== undefined) media.example ??= example
    }
    for (const parameter of parameters) {
      const { description } = component(parameter)
      if (description !== undefined) parameter.description ??= description
    }
    // To the generator every body is required; here a missing one means {}.
    if (requestBody !== undefined) {
      requestBody.required = Object.values(requestBody.content).some((media) => component(media).required)
    }
  }
  for (const { $id, properties = {} } of namedSchemas as (Schema & { $id: string })[]) {
    for (const [name, { $ref, description }] of Object.entries(properties)) {
      // What a field means in its record may stand beside the reference since OpenAPI 3.1.
      if ($ref === undefined || description === undefined) continue
      document.components.schemas[$id]!.properties![name]!.description = description
    }
  }
  return document
}
