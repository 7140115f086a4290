import { type Static, Type } from '@sinclair/typebox'
import { Timestamp, Ulid, count, text } from './common.ts'
import { EventKind } from './event.ts'
import { LIMITS } from './limits.ts'
import { closed, named, nullable, optional, ref } from './named.ts'
import { StepAttempt, stepExample } from './step.ts'

// What a worker says of an attempt while it runs. Nothing of it is kept: what the attempt leaves behind is in the attempt.

const example = { done: 12, total: 40, message: 'tests/api' }

export const StepProgress = named(
  'StepProgress',
  closed(
    {
      done: nullable(count('How much is done.')),
      total: nullable(count('How much there is to do, as far as is known; it may change.')),
      message: nullable(Type.String(), { description: 'What it is at, for people.' }),
    },
    { description: 'How far a running step attempt is, as its worker says.', examples: [example] },
  ),
)
export type StepProgress = Static<typeof StepProgress>

export const StepProgressInput = named(
  'StepProgressInput',
  closed(
    {
      done: optional(count('How much is done.')),
      total: optional(count('How much there is to do, as far as is known; it may change.')),
      message: optional(text(LIMITS.progress_message_bytes, 'What it is at, for people.')),
    },
    {
      description: 'How far the attempt is. It takes the place of what was said before.',
      examples: [example],
    },
  ),
)
export type StepProgressInput = Static<typeof StepProgressInput>

const progress = nullable(ref(StepProgress), {
  description: 'How far it is, as its worker said last; null if it said nothing, and when it has ended.',
})
const output = nullable(Type.String(), {
  description:
    'The end of what its program has printed, as its worker said last; null if it said nothing, and when it has ended: then there are `stdout_tail` and `stderr_tail`.',
})

export const LiveStepAttempt = named(
  'LiveStepAttempt',
  closed(
    { ...StepAttempt.properties, progress, output },
    {
      description:
        'One invocation of a tool within a run, and what its worker says of it while it runs. `version` does not grow with that, and a restart of the server forgets it until the next heartbeat.',
      examples: [{ ...stepExample, progress: null, output: null }],
    },
  ),
)
export type LiveStepAttempt = Static<typeof LiveStepAttempt>

/** No component, because nothing in the OpenAPI document could point at it: a stream is a string there. */
export const StepProgressMessage = closed(
  {
    kind: ref(EventKind, { description: '`step_progress`.' }),
    run_id: ref(Ulid),
    step_attempt_id: ref(Ulid),
    execution_request_id: ref(Ulid),
    ts: ref(Timestamp, { description: 'When the worker said it.' }),
    progress,
    output,
  },
  { description: 'What streams tell of a running step attempt. It is no event, and in no list.' },
)
export type StepProgressMessage = Static<typeof StepProgressMessage>
