import { dispatchTables } from './dispatch.ts'
import { eventsTable } from './events.ts'
import { executionRequestsTable } from './execution-requests.ts'
import { idempotencyKeysTable } from './idempotency-keys.ts'
import type { Connection } from './connection.ts'
import { routerTables } from './router.ts'
import { runsTable } from './runs.ts'
import { stepAttemptsTable } from './step-attempts.ts'
import { taskNeeds } from './task-needs.ts'
import { validations } from './validations.ts'

export type Tables = ReturnType<typeof tablesOf>

export const tablesOf = (db: Connection) => ({
  runs: runsTable(db),
  steps: stepAttemptsTable(db),
  requests: executionRequestsTable(db),
  needs: taskNeeds(db),
  validations: validations(db),
  events: eventsTable(db),
  keys: idempotencyKeysTable(db),
  router: routerTables(db),
  dispatch: dispatchTables(db),
})
