import { type Static, Type } from '@sinclair/typebox'
import { Ulid, name } from './common.ts'
import { ExecutionRequest, requestExample } from './execution-request.ts'
import { LIMITS } from './limits.ts'
import { closed, named, nullable, ref } from './named.ts'
import { RouteDecision } from './routing.ts'
import { StepAttempt } from './step.ts'
import { ValidatedWork } from './validation.ts'

// What has happened to an execution request so far, in short. Each entry can be read in full under its id.

const told = RouteDecision.properties
export const RequestDecision = named(
  'RequestDecision',
  closed(
    {
      route_decision_id: told.route_decision_id,
      outcome: told.outcome,
      tool_id: told.tool_id,
      rule_id: told.rule_id,
      previous_decision_id: nullable(ref(Ulid), {
        description: 'The decision before this one; null for the first.',
      }),
      created_at: told.created_at,
    },
    { description: 'A decision about an execution request, in short.' },
  ),
)
export type RequestDecision = Static<typeof RequestDecision>

const tried = StepAttempt.properties
export const RequestAttempt = named(
  'RequestAttempt',
  closed(
    {
      step_attempt_id: tried.step_attempt_id,
      attempt: tried.attempt,
      tool_id: tried.tool_id,
      route_decision_id: tried.route_decision_id,
      state: tried.state,
      exit_code: tried.exit_code,
      error_class: tried.error_class,
      started_at: tried.started_at,
      ended_at: tried.ended_at,
    },
    { description: 'An attempt at an execution request, in short.' },
  ),
)
export type RequestAttempt = Static<typeof RequestAttempt>

const progress = ExecutionRequest.properties
export const RequestValidation = named(
  'RequestValidation',
  closed(
    {
      execution_request_id: ref(Ulid, { description: 'The execution request of the validator.' }),
      tool_id: name('The tool that looks at the work.'),
      required: ValidatedWork.properties.required,
      validated_attempt_id: ref(Ulid, { description: 'The attempt that it looks at.' }),
      state: progress.state,
      stop_reason: progress.stop_reason,
      step_attempt_id: nullable(ref(Ulid), {
        description: 'Its own newest attempt, with what it printed; null before the first claim.',
      }),
      created_at: progress.created_at,
      ended_at: progress.ended_at,
    },
    { description: 'A validator of an execution request and its verdict, in short.' },
  ),
)
export type RequestValidation = Static<typeof RequestValidation>

export const ExecutionRequestStory = named(
  'ExecutionRequestStory',
  closed(
    {
      ...ExecutionRequest.properties,
      decisions: Type.Array(ref(RequestDecision), {
        maxItems: LIMITS.story_entries,
        description: `Every decision about it, oldest first: the first, and one for each fallback. Of more than ${LIMITS.story_entries} the last.`,
      }),
      step_attempts: Type.Array(ref(RequestAttempt), {
        maxItems: LIMITS.story_entries,
        description: `Every attempt at it, oldest first. Of more than ${LIMITS.story_entries} the last.`,
      }),
      validations: Type.Array(ref(RequestValidation), {
        maxItems: LIMITS.story_entries,
        description: `Every validator that looked at its work, or does, oldest first. Of more than ${LIMITS.story_entries} the last.`,
      }),
    },
    {
      description: 'A unit of work, and all that has happened to it.',
      examples: [
        {
          ...requestExample,
          decisions: [
            {
              route_decision_id: requestExample.assignment.route_decision_id,
              outcome: 'routed',
              tool_id: requestExample.assignment.tool_id,
              rule_id: 'edits',
              previous_decision_id: null,
              created_at: requestExample.created_at,
            },
          ],
          step_attempts: [],
          validations: [],
        },
      ],
    },
  ),
)
export type ExecutionRequestStory = Static<typeof ExecutionRequestStory>
