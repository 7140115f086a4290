import type { TSchema } from '@sinclair/typebox'
import * as assignment from './assignment.ts'
import * as attention from './attention.ts'
import * as backtest from './backtest.ts'
import * as circuit from './circuit.ts'
import * as classification from './classification.ts'
import * as common from './common.ts'
import * as routerDocument from './documents/router-config.ts'
import * as dispatch from './dispatch.ts'
import * as event from './event.ts'
import * as executionRequest from './execution-request.ts'
import * as requestStory from './request-story.ts'
import * as health from './health.ts'
import * as machine from './machine.ts'
import * as plan from './plan.ts'
import * as planPlace from './plan-place.ts'
import * as problem from './problem.ts'
import * as routeExplain from './route-explain.ts'
import * as routeVerdict from './route-verdict.ts'
import * as routerConfig from './router-config.ts'
import * as routing from './routing.ts'
import * as run from './run.ts'
import * as runSummary from './run-summary.ts'
import * as runPlan from './run-plan.ts'
import * as schema from './schema.ts'
import * as statistics from './statistics.ts'
import * as statisticsQuery from './statistics-query.ts'
import * as step from './step.ts'
import * as stepProgress from './step-progress.ts'
import * as strategy from './strategy.ts'
import * as task from './task.ts'
import * as tool from './tool.ts'
import * as validation from './validation.ts'
import * as worker from './worker.ts'

const isNamed = (value: unknown): value is TSchema & { $id: string } =>
  typeof value === 'object' && value !== null && '$id' in value

/**
 * Every named schema, by name, because the order within a module depends on what loads it. HTTP registers them,
 * and they become OpenAPI components.
 */
export const namedSchemas = [
  common,
  circuit,
  classification,
  strategy,
  routerDocument,
  attention,
  run,
  runSummary,
  statisticsQuery,
  statistics,
  step,
  stepProgress,
  event,
  routerConfig,
  task,
  routeVerdict,
  routing,
  routeExplain,
  tool,
  backtest,
  planPlace,
  validation,
  assignment,
  executionRequest,
  plan,
  runPlan,
  requestStory,
  dispatch,
  worker,
  machine,
  schema,
  problem,
  health,
]
  .flatMap((module) => Object.values(module).filter(isNamed))
  .sort((a, b) => (a.$id < b.$id ? -1 : 1))
