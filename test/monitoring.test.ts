import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { type Scrape, readMetrics } from './support/metrics.ts'
import { ROOT, cleanUp, startServer, temporaryDirectory } from './support/process.ts'
import { readQuery } from './support/promql.ts'
import { follow } from './support/streams.ts'

// The examples for Prometheus and Grafana, held against what a server says that did some work.

interface Panel {
  type: string
  title: string
  description?: string
  gridPos: { x: number; y: number; w: number; h: number }
  fieldConfig?: { defaults: { unit?: string } }
  datasource?: { uid: string }
  targets?: { expr: string; legendFormat: string; datasource: { uid: string } }[]
}

interface Variable {
  name: string
  type: string
  query: string | { query: string }
}

interface Rule {
  alert: string
  expr: string
  for: string
  labels: { severity: string }
  annotations: { summary: string; description: string }
}

const textOf = (path: string): string => readFileSync(join(ROOT, 'examples', path), 'utf8')
const dashboard = JSON.parse(textOf('grafana-dashboard.json')) as {
  panels: Panel[]
  templating: { list: Variable[] }
}
const panels = dashboard.panels.filter(({ type }) => type !== 'row')
const { groups } = parse(textOf('alerts.yaml')) as { groups: { name: string; rules: Rule[] }[] }
const rules = groups.flatMap((group) => group.rules)

/** Grafana puts its variables in before Prometheus sees a query. */
const filledIn = (expr: string): string => expr.replaceAll('$__rate_interval', '5m')

const EXPRESSIONS: [where: string, expr: string][] = [
  ...panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr }): [string, string] => [title, filledIn(expr)]),
  ),
  ...rules.map(({ alert, expr }): [string, string] => [alert, expr]),
]

/** Prometheus adds these to whatever it scrapes. */
const TARGET_LABELS = ['job', 'instance']
const OF_PROMETHEUS = new Set(['up'])

let scrape: Scrape

beforeAll(async () => {
  const router = ['--router-config', join(ROOT, 'examples/router_config.json')]
  const server = await startServer({ data_dir: temporaryDirectory(), flags: router })
  const post = async (path: string, body: object): Promise<Response> => {
    const headers = { 'content-type': 'application/json' }
    const answer = await fetch(server.url + path, { method: 'POST', headers, body: JSON.stringify(body) })
    expect(answer.ok, await answer.clone().text()).toBe(true)
    return answer
  }
  const stream = await follow(`${server.url}/v1/events/stream`)
  const task = { task_kind: 'lint', project_id: 'shop', phase_id: 'build', input: { prompt: 'Look.' } }
  const { assignment } = (await (await post('/v1/execution-requests', task)).json()) as {
    assignment: { tool_id: string }
  }
  const claim = { worker_id: 'w1', tools: [assignment.tool_id] }
  await post('/v1/execution-requests/claim', claim)
  await post('/v1/execution-requests/claim?wait_seconds=1', claim)
  scrape = readMetrics(await (await fetch(`${server.url}/metrics`)).text())
  stream.leave()
}, 30_000)
afterAll(cleanUp)

/** What is wrong with the series that an expression asks for. */
function faultsOf(expr: string): string[] {
  const { selectors, grouped_by } = readQuery(expr)
  const known = new Set(TARGET_LABELS)
  const faults = selectors.flatMap(({ name, matchers }) => {
    if (OF_PROMETHEUS.has(name)) return []
    const series = scrape.series(name)
    if (series.length === 0) return [`there is no series ${name}`]
    for (const label of series.flatMap(([labels]) => Object.keys(labels))) known.add(label)
    return matchers.flatMap(({ label, operator, value }) => {
      if (TARGET_LABELS.includes(label)) return []
      if (!series.some(([labels]) => label in labels)) return [`${name} has no label ${label}`]
      if (operator !== '=' || series.some(([labels]) => labels[label] === value)) return []
      return [`${name} is never ${label}="${value}"`]
    })
  })
  return [...faults, ...grouped_by.filter((label) => !known.has(label)).map((label) => `no label ${label}`)]
}

describe('every expression', () => {
  it.each(EXPRESSIONS)('of «%s» asks for series that there are: %s', (_where, expr) => {
    expect(faultsOf(expr)).toEqual([])
  })

  it('is seen through: a name, a label, a value and a form that are wrong', () => {
    expect(faultsOf('sum(rate(signalbox_claim_total[5m]))')).toEqual([
      'there is no series signalbox_claim_total',
    ])
    expect(faultsOf('signalbox_queue_depth{tools="ruff"}')).toEqual([
      'signalbox_queue_depth has no label tools',
    ])
    expect(faultsOf('signalbox_circuit_state{state="opened"}')).toEqual([
      'signalbox_circuit_state is never state="opened"',
    ])
    expect(faultsOf('sum by (status_code) (signalbox_queue_depth)')).toEqual(['no label status_code'])
    expect(() => faultsOf('sum by (tool (signalbox_queue_depth)')).toThrow(/no PromQL/)
  })
})

it('every figure of the server is shown or watched somewhere', () => {
  const asked = EXPRESSIONS.flatMap(([, expr]) => readQuery(expr).selectors.map(({ name }) => name))
  const families = [...scrape.families.keys()].filter((name) => name.startsWith('signalbox_'))
  const isAsked = (family: string) =>
    ['', '_bucket', '_sum', '_count'].some((suffix) => asked.includes(family + suffix))
  expect(families.length).toBeGreaterThan(20)
  expect(families.filter((family) => !isAsked(family))).toEqual([])
})

describe('the dashboard', () => {
  it.each(panels.map((panel) => [panel.title, panel] as const))(
    '«%s» has a description, a unit and an expression',
    (_title, { description, fieldConfig, targets, datasource }) => {
      expect(description).toMatch(/\.$/)
      expect(fieldConfig?.defaults.unit).toMatch(/./)
      expect(targets).not.toEqual([])
      for (const { uid } of [datasource!, ...targets!.map((target) => target.datasource)])
        expect(uid).toBe('${datasource}')
    },
  )

  it('lets no panel lie over another', () => {
    for (const [i, { gridPos: a, title }] of dashboard.panels.entries())
      for (const { gridPos: b, title: other } of dashboard.panels.slice(i + 1)) {
        const apart = a.x + a.w <= b.x || b.x + b.w <= a.x || a.y + a.h <= b.y || b.y + b.h <= a.y
        expect(apart, `${title} and ${other}`).toBe(true)
      }
  })

  it('has every variable that its expressions name, each asking for what there is', () => {
    const { list } = dashboard.templating
    const named = panels
      .flatMap(({ targets = [] }) => targets.flatMap(({ expr }) => [...expr.matchAll(/\$(\w+)/g)]))
      .map(([, name]) => name!)
      .filter((name) => !name.startsWith('__'))
    const names = list.map(({ name }) => name)
    expect([...new Set(['datasource', ...named])].toSorted()).toEqual(names.toSorted())
    for (const { name, query } of list.filter(({ type }) => type === 'query')) {
      const text = typeof query === 'string' ? query : query.query
      const [, selector = '', label = ''] = /^label_values\((.*), (\w+)\)$/.exec(text) ?? []
      expect(faultsOf(selector), name).toEqual([])
      const labels = scrape.series(readQuery(selector).selectors[0]!.name).map(([labels]) => labels)
      expect(TARGET_LABELS.includes(label) || labels.some((each) => label in each), label).toBe(true)
    }
  })

  it('writes into its legends only labels that the series have', () => {
    for (const { targets = [], title } of panels)
      for (const { expr, legendFormat } of targets)
        expect(unknownLabels(filledIn(expr), /\{\{(\w+)\}\}/g, legendFormat), title).toEqual([])
  })
})

describe('the alert', () => {
  it.each(rules.map((rule) => [rule.alert, rule] as const))(
    '%s says how long, how bad, what and what to do',
    (name, { for: duration, labels, annotations, expr }) => {
      expect(name).toMatch(/^Signalbox[A-Z][A-Za-z]+$/)
      expect(duration).toMatch(/^\d+[smhd]$/)
      expect(['critical', 'warning']).toContain(labels.severity)
      const { summary, description } = annotations
      for (const text of [summary, description]) {
        expect(text).toMatch(/\.$/)
        expect(unknownLabels(expr, /\$labels\.(\w+)/g, text)).toEqual([])
      }
    },
  )

  it('has a name of its own', () => {
    expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length)
  })
})

/** The labels that a text names, and that what the expression gives does not have. */
function unknownLabels(expr: string, pattern: RegExp, text: string): string[] {
  const { selectors, grouped_by } = readQuery(expr)
  const aggregates = /\b(sum|max|min|topk)\b/.test(expr)
  const known = selectors.flatMap(({ name }) =>
    scrape.series(name).flatMap(([labels]) => Object.keys(labels)),
  )
  const given = new Set(aggregates ? grouped_by : [...TARGET_LABELS, ...known])
  return [...text.matchAll(pattern)].map(([, label]) => label!).filter((label) => !given.has(label))
}
