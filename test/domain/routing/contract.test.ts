import type { TObject } from '@sinclair/typebox'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BacktestResult } from '../../../src/contract/backtest.ts'
import { standalone } from '../../../src/contract/documents/document.ts'
import { ExecutionRequestDocument } from '../../../src/contract/execution-request.ts'
import { namedSchemas } from '../../../src/contract/index.ts'
import { ExplainResult } from '../../../src/contract/route-explain.ts'
import { CANDIDATE_REASONS, RULE_REASONS } from '../../../src/contract/route-verdict.ts'
import { RouteDecision } from '../../../src/contract/routing.ts'
import { Task } from '../../../src/contract/task.ts'
import { Tool } from '../../../src/contract/tool.ts'
import { addDecision, backtestResult, beginBacktest } from '../../../src/domain/backtest.ts'
import { CLOSED } from '../../../src/domain/circuit.ts'
import { compileRouterConfig } from '../../../src/domain/compiled-router.ts'
import { buildRequest } from '../../../src/domain/request.ts'
import { explain } from '../../../src/domain/route-explain.ts'
import { decide } from '../../../src/domain/routing.ts'
import { newToolRecord, shownTool } from '../../../src/domain/tool-record.ts'
import { buildChecks, faultsOf } from '../../../src/http/validation.ts'
import { configuration, facts, seed, task } from '../../support/arbitrary-routing.ts'
import { given } from '../../support/routing.ts'

const compile = buildChecks()
const checkOf = (schema: TObject) => compile(standalone('checked.v1', schema, namedSchemas))
const checks = {
  decision: checkOf(RouteDecision),
  explanation: checkOf(ExplainResult),
  request: checkOf(ExecutionRequestDocument),
  tool: checkOf(Tool),
  backtest: checkOf(BacktestResult),
  task: checkOf(Task),
}

describe('what is decided fits the contract', () => {
  it('decisions, explanations, requests, tools and backtests, of any configuration', () => {
    fc.assert(
      fc.property(configuration, task, facts, seed, (config, task, facts, seed) => {
        const router = compileRouterConfig(config, 1)
        const { decision } = decide(task, router, facts, given({ seed }))
        expect(checks.decision(decision)).toEqual([])
        expect(checks.explanation(explain(task, router, facts, { run_id: null, seed }))).toEqual([])
        if (decision.outcome === 'routed') {
          const asked = { ...task, project_id: 'shop', phase_id: 'build' }
          const request = {
            execution_request_id: decision.route_decision_id,
            created_by: 'ci',
            created_at: decision.created_at,
          }
          expect(checks.request(buildRequest(asked, decision, router, request).document)).toEqual([])
        }
        const test = beginBacktest(router)
        addDecision(test, decision, { succeeded: true, duration_ms: 5, cost_usd_micros: null })
        const period = { created_after: decision.created_at, created_before: decision.created_at }
        expect(checks.backtest(backtestResult(test, period))).toEqual([])
        for (const app of router.apps) {
          const known = { record: newToolRecord(app.tool_id), pause: null, circuit: CLOSED }
          expect(checks.tool(shownTool(app, router, known, decision.created_at))).toEqual([])
        }
      }),
      { numRuns: 100 },
    )
  })

  it('the task of a decision can be sent again as it is', () => {
    fc.assert(
      fc.property(task, (task) => {
        const { decision } = decide(
          task,
          compileRouterConfig({ version: '1.0.0', apps: {}, routing: {} }, 1),
          { tools: [], rotations: [] },
          given(),
        )
        expect(checks.task(decision.task)).toEqual([])
      }),
    )
  })

  it.each([
    [{ tool: 'x' }, '#/tool'],
    [{ classification: { risk: 'low' } }, '#/classification/risk'],
    [{ input: { text: 'x' } }, '#/input/text'],
    [{ limits: { timeout: 1 } }, '#/limits/timeout'],
  ])('a task with an unknown field does not: %j', (wrong, pointer) => {
    const findings = checks.task({ task_kind: 'edit', ...wrong })
    expect(faultsOf(findings, 'body')).toEqual([{ pointer, detail: 'is not known here' }])
  })
})

it('every reason has a text, and no more bits than a number has for them', () => {
  const texts = [...Object.values(RULE_REASONS), ...Object.values(CANDIDATE_REASONS)]
  expect(texts.every((text) => text.length > 5)).toBe(true)
  expect(Object.keys(CANDIDATE_REASONS).length).toBeLessThan(31)
})
