import type { TSchema } from '@sinclair/typebox'
import * as common from './common.ts'
import * as event from './event.ts'
import * as health from './health.ts'
import * as machine from './machine.ts'
import * as problem from './problem.ts'
import * as run from './run.ts'
import * as step from './step.ts'

const isNamed = (value: unknown): value is TSchema & { $id: string } =>
  typeof value === 'object' && value !== null && '$id' in value

/** Every named schema, in the order of the files: HTTP registers them, and they become OpenAPI components. */
export const namedSchemas = [common, run, step, event, machine, problem, health].flatMap((module) =>
  Object.values(module).filter(isNamed),
)
