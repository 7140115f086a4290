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

/**
 * Every named schema, by name, because the order within a module depends on what loads it. HTTP registers them,
 * and they become OpenAPI components.
 */
export const namedSchemas = [common, run, step, event, machine, problem, health]
  .flatMap((module) => Object.values(module).filter(isNamed))
  .sort((a, b) => (a.$id < b.$id ? -1 : 1))
