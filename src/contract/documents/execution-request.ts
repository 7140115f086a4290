import { Type } from '@sinclair/typebox'
import { DEFAULTS } from '../defaults.ts'
import { nullable, ref } from '../named.ts'
import { ExecutionRequestStory } from '../request-story.ts'
import { Strategy } from '../strategy.ts'
import { document, supersetOf } from './document.ts'
import { dateTime, filled, flag, integer, open, strings, text, ulid } from './fields.ts'
import { scopePatterns } from './resource-scope.ts'
import { classification } from './task-spec.ts'

const origin = open(
  {
    created_by: Type.Optional(text('Who or what asked for it.')),
    created_at: Type.Optional(dateTime('When it was made.')),
  },
  'Where the request came from.',
)

const constraints = open(
  {
    patch_only: Type.Optional(flag('Whether files may be changed by patches only.')),
    tests_must_pass: Type.Optional(flag('Whether the tests must pass afterwards.')),
    max_lines_changed: Type.Optional(integer('The most lines that may be changed.')),
  },
  'What the work must keep to.',
)

const routing = open(
  {
    strategy: ref(Strategy, { description: 'How one of several tools is chosen.' }),
    allowed_tools: Type.Optional(strings('The tools that may do it; absent is any that can.')),
    max_attempts: Type.Optional(
      integer('How often it may be tried.', { minimum: 1, default: DEFAULTS.max_attempts }),
    ),
    timeout_seconds: Type.Optional(
      integer('How long one try may take.', { minimum: 1, default: DEFAULTS.timeout_seconds }),
    ),
  },
  'How the tool is found, and how long it is tried.',
)

const telemetry = open(
  {
    correlation_id: Type.Optional(text('What the traces of one piece of work have in common.')),
    trace_flags: Type.Optional(strings('What is to be traced.')),
  },
  'For following the work through logs and traces.',
)

export const ExecutionRequestDocument = supersetOf(
  ExecutionRequestStory,
  document(
    {
      title: 'Execution request',
      description:
        'The immutable unit of work: what is to be done, within which bounds, and by which tools. An execution request as the API answers it is one; beyond the fields of the document nothing is required.',
      example: {
        request_id: '01JD8Z6V5NC4X8Y2Z6A0B4C8D2',
        project_id: 'shop',
        phase_id: 'build',
        workstream_id: 'checkout',
        task_kind: 'code_edit',
        origin: { created_by: 'ci@shop', created_at: '2026-01-05T09:30:00Z' },
        classification: { complexity: 'moderate', risk_tier: 'low', domain: 'backend', priority: 'normal' },
        resource_scope: { read: ['src/**', 'test/**'], write: ['src/basket.ts'], forbidden: ['infra/**'] },
        constraints: { patch_only: true, tests_must_pass: true, max_lines_changed: 200 },
        prompt_spec: '01JD8Z6W9ZC4X8Y2Z6A0B4C8D3',
        routing: {
          strategy: 'round_robin',
          allowed_tools: ['aider', 'codex'],
          max_attempts: 3,
          timeout_seconds: 600,
        },
        telemetry: { correlation_id: 'pull-42' },
      },
    },
    {
      request_id: ulid('The id of the request.'),
      project_id: filled('The project that it belongs to.'),
      phase_id: filled('The phase that it belongs to.'),
      workstream_id: Type.Optional(nullable(text('The workstream that it belongs to.'))),
      task_kind: text('The kind of task; tools list the kinds that they can do.'),
      origin: Type.Optional(origin),
      classification,
      resource_scope: open(scopePatterns, 'Which resources the work may touch.'),
      constraints: Type.Optional(constraints),
      prompt_spec: Type.Optional(nullable(ulid('The prompt instance that the tool is given.'))),
      routing,
      telemetry: Type.Optional(telemetry),
    },
  ),
)
