import { Event } from '../event.ts'
import { namedSchemas } from '../index.ts'
import { Run } from '../run.ts'
import { StepAttempt } from '../step.ts'
import { type DocumentName, documentOf, standalone } from './document.ts'

const SOURCES = {
  'run_record.v1': documentOf(Run, 'Run record', ['run_id', 'project_id', 'phase_id', 'state', 'created_at']),
  'step_attempt.v1': documentOf(StepAttempt, 'Step attempt', [
    'step_attempt_id',
    'run_id',
    'sequence',
    'tool_id',
    'state',
    'started_at',
  ]),
  'run_event.v1': documentOf(Event, 'Run event', ['event_id', 'run_id', 'ts', 'kind']),
}

/** The framework's documents that exist so far, each as a JSON Schema (2020-12) that stands alone. */
export const documents: ReadonlyMap<DocumentName, object> = new Map(
  Object.entries(SOURCES).map(([name, schema]) => {
    const document = name as DocumentName
    return [document, standalone(document, schema, namedSchemas)]
  }),
)
