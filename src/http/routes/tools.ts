import { ref } from '../../contract/named.ts'
import {
  PauseTool,
  ResetTool,
  ResumeTool,
  Tool,
  ToolPage,
  ToolParams,
  ToolsQuery,
} from '../../contract/tool.ts'
import { type Present, answerWrite, sendJson, sendPage } from '../answers.ts'
import type { App, RouteDeps } from '../deps.ts'
import { lists, reads, writes } from '../operation.ts'

const read = { scope: 'read' } as const
const admin = { scope: 'admin' } as const
const tag = 'tools'
const params = ToolParams

export function toolRoutes(app: App, deps: RouteDeps): void {
  readings(app, deps)
  pauses(app, deps)
  circuits(app, deps)
}

function readings(app: App, { orchestrator }: RouteDeps): void {
  const listTools = lists(
    {
      operationId: 'listTools',
      tag,
      summary: 'List tools',
      description:
        'The apps of the active configuration by name, unless `order=desc`; none before one is active.',
    },
    ref(ToolPage),
    { querystring: ToolsQuery },
  )
  app.get('/v1/tools', { schema: listTools, config: read }, async (request, reply) =>
    sendPage(request, reply, await orchestrator.listTools(request.query)),
  )

  const getTool = reads(
    {
      operationId: 'getTool',
      tag,
      summary: 'Read a tool',
      description:
        'What it can do, how it has done lately, whether it is paused, and whether its circuit keeps work away from it. It has no version: what is known of it fades with time.',
      problems: ['tool_not_found'],
    },
    ref(Tool),
    { params },
  )
  app.get('/v1/tools/:tool_id', { schema: getTool, config: read }, async (request, reply) =>
    sendJson(reply, await orchestrator.getTool(request.params.tool_id)),
  )
}

const moved: Present<Tool> = (tool) => ({
  status: 200,
  body: JSON.stringify(tool),
  etag: null,
  location: null,
})
const answer = { status: 200, schema: ref(Tool), versioned: false } as const

function pauses(app: App, { orchestrator }: RouteDeps): void {
  const pauseTool = writes(
    {
      operationId: 'pauseTool',
      tag,
      summary: 'Pause a tool',
      description:
        'Nothing is routed to it until it is resumed, or until the instant in `until`. What it is doing goes on.',
      problems: ['tool_not_found', 'transition_refused', 'until_passed'],
    },
    answer,
    { params, body: ref(PauseTool) },
  )
  app.post('/v1/tools/:tool_id/pause', { schema: pauseTool, config: admin }, (request, reply) =>
    answerWrite(request, reply, moved, (call) =>
      orchestrator.pauseTool(call, request.params.tool_id, request.body),
    ),
  )

  const resumeTool = writes(
    {
      operationId: 'resumeTool',
      tag,
      summary: 'Resume a tool',
      description: 'Tasks are routed to it again. A pause that has ended by itself needs no resuming.',
      problems: ['tool_not_found', 'transition_refused'],
    },
    answer,
    { params, body: ref(ResumeTool) },
  )
  app.post('/v1/tools/:tool_id/resume', { schema: resumeTool, config: admin }, (request, reply) =>
    answerWrite(request, reply, moved, (call) => orchestrator.resumeTool(call, request.params.tool_id)),
  )
}

function circuits(app: App, { orchestrator }: RouteDeps): void {
  const resetTool = writes(
    {
      operationId: 'resetTool',
      tag,
      summary: 'Close the circuit of a tool',
      description:
        'The tool works again, and you know it: its circuit closes without a probe, and what it counted is forgotten. A circuit that is closed needs no reset.',
      problems: ['tool_not_found', 'transition_refused'],
    },
    answer,
    { params, body: ref(ResetTool) },
  )
  app.post('/v1/tools/:tool_id/reset', { schema: resetTool, config: admin }, (request, reply) =>
    answerWrite(request, reply, moved, (call) =>
      orchestrator.resetTool(call, request.params.tool_id, request.body),
    ),
  )
}
