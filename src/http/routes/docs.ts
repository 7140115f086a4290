import helmet from '@fastify/helmet'
import swaggerUi from '@fastify/swagger-ui'
import { Type } from '@sinclair/typebox'
import type { FastifyInstance } from 'fastify'
import { stringify } from 'yaml'
import { closed } from '../../contract/named.ts'
import { PROBLEMS, type ProblemCode, problemType } from '../../contract/problems.ts'
import { LedgerError } from '../../domain/error.ts'
import type { App } from '../deps.ts'
import { serves } from '../operation.ts'

/** The contract, its pages, and what each problem means: open to everybody, and all of it works offline. */
export async function docRoutes(app: App): Promise<void> {
  openApiRoutes(app)
  // Only pages that a browser shows need its guards; on every answer of the API they would only cost.
  await app.register(async (pages: FastifyInstance) => {
    await pages.register(helmet, { contentSecurityPolicy: false, hsts: false })
    problemRoutes(pages)
    await pages.register(swaggerUi, {
      routePrefix: '/docs',
      staticCSP: SELF_ONLY,
      uiConfig: { validatorUrl: null, deepLinking: true, docExpansion: 'list' },
    })
  })
}

// The plugin's own policy lets fonts and styles come from anywhere, and makes browsers ask this server for https.
const SELF_ONLY =
  "default-src 'self'; base-uri 'self'; font-src 'self' data:; frame-ancestors 'self'; " +
  "img-src 'self' data:; object-src 'none'; script-src 'self'; script-src-attr 'none'; style-src 'self'"

const anyDocument = Type.Unsafe<object>({ type: 'object', additionalProperties: true })

function openApiRoutes(app: App): void {
  const described = (operationId: string, as: string, media_type: string) =>
    serves(
      {
        operationId,
        tag: 'health',
        summary: `The contract as ${as}`,
        description: `This OpenAPI 3.1.1 document, as ${as}.`,
        problems: ['draining'],
      },
      { 200: { description: 'The document.', schema: anyDocument, media_type } },
      {},
    )
  // Written once: the routes do not change while the server runs.
  let json: string | undefined
  let yaml: string | undefined
  app.get(
    '/openapi.json',
    { schema: described('getOpenApiJson', 'JSON', 'application/json') },
    (_request, reply) =>
      reply.type('application/json; charset=utf-8').send((json ??= JSON.stringify(app.swagger()))),
  )
  app.get(
    '/openapi.yaml',
    { schema: described('getOpenApiYaml', 'YAML', 'application/yaml') },
    (_request, reply) => reply.type('application/yaml; charset=utf-8').send((yaml ??= yamlOf(app.swagger()))),
  )
}

/** Aliases would save a few lines and confuse readers and some generators. */
export const yamlOf = (document: object): string =>
  stringify(document, { aliasDuplicateObjects: false, lineWidth: 0 })

function problemRoutes(app: App): void {
  const slugs = new Map(Object.keys(PROBLEMS).map((code) => [problemType(code as ProblemCode), code]))
  const explainProblem = serves(
    {
      operationId: 'explainProblem',
      tag: 'health',
      summary: 'What a problem means',
      description: 'The page behind the `type` of a problem: what it means, and what to do.',
      problems: ['not_found', 'draining'],
    },
    { 200: { description: 'The page.', schema: Type.String(), media_type: 'text/html' } },
    {
      params: closed(
        { slug: Type.String({ minLength: 1, maxLength: 64, description: 'The code with hyphens.' }) },
        { description: 'Which problem.' },
      ),
    },
  )
  app.get('/problems/:slug', { schema: explainProblem }, (request, reply) => {
    const code = slugs.get(`/problems/${request.params.slug}`) as ProblemCode | undefined
    if (code === undefined) throw new LedgerError('not_found', 'No problem has this name.')
    return reply.type('text/html; charset=utf-8').send(problemPage(code))
  })
}

function problemPage(code: ProblemCode): string {
  const { status, title, help } = PROBLEMS[code]
  const text = escaped(help).replace(/`([^`]+)`/g, '<code>$1</code>')
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escaped(title)}</title>
<h1>${escaped(title)}</h1>
<p><code>${code}</code>, status ${status}</p>
<p>${text}</p>
<p><a href="/docs">All operations</a></p>
</html>
`
}

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
