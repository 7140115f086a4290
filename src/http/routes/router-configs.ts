import type { FastifyReply, FastifyRequest } from 'fastify'
import { BacktestRequest, BacktestResult } from '../../contract/backtest.ts'
import { RouterConfig } from '../../contract/documents/router-config.ts'
import { LIMITS } from '../../contract/limits.ts'
import { ref } from '../../contract/named.ts'
import type { Fault } from '../../contract/problem.ts'
import {
  ActivateRouterConfig,
  CreatedRouterConfig,
  DiffQuery,
  RouterConfigDiff,
  RouterConfigPage,
  RouterConfigParams,
  RouterConfigVersion,
  RouterConfigsQuery,
} from '../../contract/router-config.ts'
import { type ActivatedConfig, configNotFound } from '../../domain/configuration.ts'
import { LedgerError } from '../../domain/error.ts'
import { type Present, answerWrite, sendJson, sendPage, sendVersioned } from '../answers.ts'
import type { App, RouteDeps } from '../deps.ts'
import { asks, lists, reads as readsOther, readsOne, takesYaml, writes } from '../operation.ts'
import { type Finding, firstFaults, requireShortPlaces } from '../validation.ts'
import { hangUpOf } from '../wait.ts'

const read = { scope: 'read' } as const
const admin = { scope: 'admin' } as const
const tag = 'routing'
const params = RouterConfigParams

export function routerConfigRoutes(app: App, deps: RouteDeps): void {
  creation(app, deps)
  activation(app, deps) // before the path that `active` would fit as a version
  readings(app, deps)
  backtest(app, deps)
}

const created: Present<CreatedRouterConfig> = (config) => ({
  status: 201,
  body: JSON.stringify(config),
  etag: null,
  location: `/v1/routing/configs/${config.config_version}`,
})

function creation(app: App, { orchestrator }: RouteDeps): void {
  const createRouterConfig = takesYaml(
    {
      operationId: 'createRouterConfig',
      tag,
      summary: 'Create a router configuration',
      description: `Checks a \`router_config.v1\` document whole and keeps it as an immutable, numbered version; every fault is named at once. The same content again is the same version: \`created\` says which. Also as YAML 1.2 without tags, with at most ${LIMITS.yaml_aliases} aliases. Nothing is routed by it before it is activated.`,
      problems: ['router_config_invalid', 'malformed_yaml'],
    },
    { status: 201, schema: ref(CreatedRouterConfig), versioned: false, located: true },
    { body: ref(RouterConfig) },
  )
  app.post(
    '/v1/routing/configs',
    {
      schema: createRouterConfig,
      config: { ...admin, yaml: true },
      // Faults of form are answered together with those of meaning, which are found in the document alone.
      attachValidation: true,
      preValidation: (request, _reply, done) => {
        requireShortPlaces(request.body)
        done()
      },
    },
    (request, reply) =>
      answerWrite(request, reply, created, (call) =>
        orchestrator.createRouterConfig(call, request.body, faultsOfForm(request)),
      ),
  )
}

/** @throws the validation's error if it is about another part of the request */
function faultsOfForm({ validationError }: FastifyRequest): Fault[] {
  if (validationError === undefined) return []
  if (validationError.validationContext !== 'body') throw validationError
  return firstFaults(validationError.validation as Finding[]).faults
}

function readings(app: App, { orchestrator, reads }: RouteDeps): void {
  const listRouterConfigs = lists(
    {
      operationId: 'listRouterConfigs',
      tag,
      summary: 'List router configurations',
      description: 'Newest first, unless `order=asc`.',
    },
    ref(RouterConfigPage),
    { querystring: RouterConfigsQuery },
  )
  app.get('/v1/routing/configs', { schema: listRouterConfigs, config: read }, async (request, reply) =>
    sendPage(request, reply, await reads.listRouterConfigs(request.query)),
  )

  const getRouterConfig = readsOther(
    {
      operationId: 'getRouterConfig',
      tag,
      summary: 'Read a router configuration',
      description: 'One version. Nothing of it ever changes but `activated_at`.',
      problems: ['router_config_not_found'],
    },
    ref(RouterConfigVersion),
    { params },
  )
  app.get(
    '/v1/routing/configs/:config_version',
    { schema: getRouterConfig, config: read },
    async (request, reply) => {
      const config = await reads.getRouterConfig(request.params.config_version)
      if (config === null) throw configNotFound()
      return sendJson(reply, config)
    },
  )

  const diffRouterConfigs = readsOther(
    {
      operationId: 'diffRouterConfigs',
      tag,
      summary: 'Compare two router configurations',
      description:
        'What makes this version different from the one in `against`: apps by name, rules by id and place.',
      problems: ['router_config_not_found', 'unknown_reference'],
    },
    ref(RouterConfigDiff),
    { params, querystring: DiffQuery },
  )
  app.get(
    '/v1/routing/configs/:config_version/diff',
    { schema: diffRouterConfigs, config: read },
    async (request, reply) =>
      sendJson(
        reply,
        await orchestrator.diffRouterConfigs(request.params.config_version, request.query.against),
      ),
  )
}

const activated: Present<ActivatedConfig> = ({ activations, ...config }) => ({
  status: 200,
  body: JSON.stringify(config),
  etag: `"${activations}"`,
  location: null,
})

function activation(app: App, { orchestrator, reads }: RouteDeps): void {
  const getActiveRouterConfig = readsOne(
    {
      operationId: 'getActiveRouterConfig',
      tag,
      summary: 'Read the active router configuration',
      description:
        'The version that tasks are routed by. Its `ETag` is the number of activations so far; before the first it is 404 with the `ETag` `"0"`.',
      problems: ['router_config_not_found'],
      tells_version: 404,
    },
    ref(RouterConfigVersion),
    {},
  )
  app.get(
    '/v1/routing/configs/active',
    { schema: getActiveRouterConfig, config: read },
    async (request, reply): Promise<FastifyReply> => {
      const { activations, config } = await reads.getActiveRouterConfig()
      if (config === null) throw noneYet()
      return sendVersioned(request, reply, { record: config, version: activations })
    },
  )

  const activateRouterConfig = writes(
    {
      operationId: 'activateRouterConfig',
      tag,
      summary: 'Activate a router configuration',
      description:
        'From now on tasks are routed by this version. `If-Match` must hold the `ETag` of the active configuration (`"0"` before the first), so that of two activations at once only one succeeds.',
      problems: ['router_config_not_found', 'transition_refused'],
    },
    {
      status: 200,
      schema: ref(RouterConfigVersion),
      matches: 'the active configuration',
      guarded: true,
    },
    { params, body: ref(ActivateRouterConfig) },
  )
  app.post(
    '/v1/routing/configs/:config_version/activate',
    { schema: activateRouterConfig, config: admin },
    (request, reply) =>
      answerWrite(request, reply, activated, (call) =>
        orchestrator.activateRouterConfig(call, request.params.config_version),
      ),
  )
}

/** The `ETag` of the answer is what the first activation must send. */
const noneYet = () =>
  new LedgerError('router_config_not_found', 'None was activated yet. Activate one with If-Match: "0".', {
    version: 0,
  })

function backtest(app: App, { reads }: RouteDeps): void {
  const backtestRouterConfig = asks(
    {
      operationId: 'backtestRouterConfig',
      tag,
      summary: 'Test a router configuration on recorded decisions',
      description: `Makes the decisions of a period again under this version, from what they recorded: how many change, from which tool to which, by rule, and how they would turn out by what their attempts told. What nothing is known of counts as unknown. A period that ends before it begins holds none. Of those that the API key sees; at most ${LIMITS.backtest_decisions} are looked at, and \`truncated\` says if there are more. It takes some ten seconds for 100 000; ${LIMITS.backtests} run at once, a further one is \`overloaded\`. Nothing is written.`,
      problems: ['router_config_not_found', 'overloaded'],
    },
    ref(BacktestResult),
    { params, body: ref(BacktestRequest) },
  )
  app.post(
    '/v1/routing/configs/:config_version/backtest',
    { schema: backtestRouterConfig, config: read },
    async (request, reply) => {
      const query = { ...request.body, config_version: request.params.config_version }
      const result = await reads.backtest(query, request.caller, hangUpOf(reply))
      if (result === null) throw configNotFound()
      return sendJson(reply, result)
    },
  )
}
