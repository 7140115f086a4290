import { documents } from '../../contract/documents/index.ts'
import type { PublishedSchema } from '../../contract/documents/document.ts'
import { ref } from '../../contract/named.ts'
import { AnyDocument, DocumentVerdict, JsonSchema, SchemaList, SchemaParams } from '../../contract/schema.ts'
import { LedgerError } from '../../domain/error.ts'
import { sendJson } from '../answers.ts'
import type { App } from '../deps.ts'
import { asks, reads } from '../operation.ts'
import { type Check, type Finding, buildChecks, firstFaults } from '../validation.ts'

const SCHEMA_TYPE = 'application/schema+json; charset=utf-8'

const read = { scope: 'read' } as const
const tag = 'schemas'
const params = SchemaParams

export function schemaRoutes(app: App): void {
  publishedSchemas(app)
  documentChecks(app)
}

function publishedSchemas(app: App): void {
  const listed: SchemaList = {
    items: [...documents].map(([name, { title }]) => ({ name, title, href: `/v1/schemas/${name}.json` })),
  }
  const listSchemas = reads(
    {
      operationId: 'listSchemas',
      tag,
      summary: 'List the schemas',
      description: 'The documents that pipelines exchange, each with the place of its schema.',
    },
    ref(SchemaList),
    {},
  )
  app.get('/v1/schemas', { schema: listSchemas, config: read }, (_request, reply) => sendJson(reply, listed))

  const getSchema = reads(
    {
      operationId: 'getSchema',
      tag,
      summary: 'Read a schema',
      description:
        'The schema itself, as JSON Schema 2020-12. It refers to nothing outside itself and needs no keywords or formats but `date-time`.',
      problems: ['schema_not_found'],
    },
    ref(JsonSchema),
    { params },
    'application/schema+json',
  )
  app.get('/v1/schemas/:name', { schema: getSchema, config: read }, (request, reply) =>
    reply.header('content-type', SCHEMA_TYPE).send(JSON.stringify(schemaNamed(request.params.name))),
  )
}

function documentChecks(app: App): void {
  const compile = buildChecks()
  // A schema takes milliseconds to compile, and most servers are never asked about most documents.
  const checks = new Map<string, Check>()
  const checkFor = (schema: PublishedSchema): Check => {
    const check = checks.get(schema.$id) ?? compile(schema)
    checks.set(schema.$id, check)
    return check
  }

  const validateDocument = asks(
    {
      operationId: 'validateDocument',
      tag,
      summary: 'Check a document',
      description:
        'Whether the body follows the schema, and everything that is wrong with it; 200 either way. Nothing is written.',
      problems: ['schema_not_found'],
    },
    ref(DocumentVerdict),
    { params, body: ref(AnyDocument) },
  )
  app.post('/v1/schemas/:name/validate', { schema: validateDocument, config: read }, (request, reply) => {
    const check = checkFor(schemaNamed(request.params.name))
    return sendJson(reply, verdictOf(check(request.body)))
  })
}

/** @throws LedgerError `schema_not_found` */
function schemaNamed(name: string): PublishedSchema {
  const schema = documents.get(name.replace(/\.json$/, ''))
  if (schema !== undefined) return schema
  throw new LedgerError(
    'schema_not_found',
    'No document has this name. GET /v1/schemas lists those there are.',
  )
}

function verdictOf(findings: readonly Finding[]): DocumentVerdict {
  const { faults, complete } = firstFaults(findings)
  const errors = faults.map(({ pointer = '#', detail }) => ({ pointer, detail }))
  return { valid: findings.length === 0, errors, complete }
}
