import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { documents } from '../../../src/contract/documents/index.ts'
import type { RoutingRule } from '../../../src/contract/documents/router-config.ts'
import { compileRouterConfig } from '../../../src/domain/compiled-router.ts'
import { diffRouterConfigs } from '../../../src/domain/router-config-diff.ts'
import { checkMeaning, contentHash } from '../../../src/domain/router-config.ts'
import { buildChecks, faultsOf } from '../../../src/http/validation.ts'
import { type AppFacts, aConfig, anApp } from '../../support/routing.ts'
import { checkRouterConfig } from '../../support/router-check.ts'

const validate = buildChecks()(documents.get('router_config.v1')!)
const check = (document: unknown) => checkRouterConfig(document, (value) => faultsOf(validate(value), 'body'))

type Rule = Partial<RoutingRule> & { id: string }
const two: Record<string, AppFacts> = { aider: {}, codex: {} }
const withRules = (...rules: Rule[]) => aConfig({ apps: two, rules })
const withRule = (rule: Partial<RoutingRule>) =>
  withRules({ id: 'edits', select_from: ['aider', 'codex'], ...rule })
const withValidators = (apps: Record<string, AppFacts>, validate_with: string[]) =>
  aConfig({
    apps: { aider: {}, ...apps },
    rules: [{ id: 'edits', select_from: ['aider'], validate_with }],
  })
const withApp = (app: object) => ({
  ...withRules({ id: 'edits', select_from: ['aider', 'codex'] }),
  apps: { codex: anApp(), aider: { ...anApp(), ...app } },
})
const withDefaults = (defaults: object) => ({ ...withRule({}), defaults })
const RULE = '#/routing/rules/0'

describe('a configuration without faults', () => {
  it('is the document itself, with its warnings', () => {
    const document = withRule({})
    expect(check(document)).toEqual({
      faults_of_form: [],
      faults_of_meaning: [],
      warnings: [],
      config: document,
    })
  })

  it('need not have rules, or apps', () => {
    expect(check({ version: '1.0.0', apps: {}, routing: {} }).config).not.toBeNull()
  })
})

describe('faults of meaning, each with its place', () => {
  const cases: [fault: string, document: unknown, pointer: string, detail: RegExp | string][] = [
    [
      'a rule that selects an app that does not exist',
      withRule({ select_from: ['aider', 'nobody'] }),
      `${RULE}/select_from/1`,
      'names no app',
    ],
    [
      'one that falls back to such an app',
      withRule({ fallback_to: ['nobody'] }),
      `${RULE}/fallback_to/0`,
      'names no app',
    ],
    [
      'one that validates with such an app',
      withRule({ validate_with: ['nobody'] }),
      `${RULE}/validate_with/0`,
      'names no app',
    ],
    [
      'a rule none of whose apps can do any kind that it matches',
      withRule({ match: { task_kind: ['test', 'lint'] } }),
      `${RULE}/select_from`,
      /test, lint/,
    ],
    [
      'a rule that selects nobody',
      withRule({ select_from: [] }),
      `${RULE}/select_from`,
      'holds no app that can do anything',
    ],
    [
      'a rule for every app, of which none can do its kind',
      { ...aConfig({ apps: two, rules: [{ id: 'tests', match: { task_kind: ['test'] } }] }) },
      RULE,
      /test/,
    ],
    [
      'a rule for every kind, none of whose apps can do anything',
      aConfig({ apps: { aider: { kinds: [] } }, rules: [{ id: 'edits', select_from: ['aider'] }] }),
      `${RULE}/select_from`,
      /anything/,
    ],
    [
      'two rules of one id',
      withRules(
        { id: 'edits', match: { task_kind: ['edit'] }, select_from: ['aider'] },
        { id: 'edits', select_from: ['codex'] },
      ),
      '#/routing/rules/1/id',
      /#\/routing\/rules\/0/,
    ],
    [
      'a rule id that is too long',
      withRules({ id: 'x'.repeat(201), select_from: ['aider', 'codex'] }),
      `${RULE}/id`,
      /200/,
    ],
    [
      'max_parallel of 0',
      withApp({ limits: { max_parallel: 0 } }),
      '#/apps/aider/limits/max_parallel',
      'must be from 1 to 1000',
    ],
    [
      'max_parallel beyond its bound',
      withApp({ limits: { max_parallel: 1001 } }),
      '#/apps/aider/limits/max_parallel',
      'must be from 1 to 1000',
    ],
    [
      'a timeout below 1',
      withApp({ limits: { timeout_seconds: -5 } }),
      '#/apps/aider/limits/timeout_seconds',
      'must be from 1 to 604800',
    ],
    [
      'a timeout of more than a week',
      withApp({ limits: { timeout_seconds: 604_801 } }),
      '#/apps/aider/limits/timeout_seconds',
      /604800/,
    ],
    [
      'a cost below 0',
      withApp({ cost_per_call_usd_micros: -1 }),
      '#/apps/aider/cost_per_call_usd_micros',
      /from 0/,
    ],
    [
      'default attempts below 1',
      withDefaults({ max_attempts: 0 }),
      '#/defaults/max_attempts',
      'must be from 1 to 100',
    ],
    [
      'a default timeout below 1',
      withDefaults({ timeout_seconds: 0 }),
      '#/defaults/timeout_seconds',
      /from 1/,
    ],
    [
      'an exploration share above 1',
      withDefaults({ auto: { exploration: 1.5 } }),
      '#/defaults/auto/exploration',
      'must be from 0 to 1',
    ],
    [
      'a weight below 0',
      withDefaults({ auto: { weights: { load: -0.1 } } }),
      '#/defaults/auto/weights/load',
      /from 0/,
    ],
    [
      'weights that are all 0',
      withDefaults({ auto: { weights: { success: 0, latency: 0, load: 0, cost: 0 } } }),
      '#/defaults/auto/weights',
      'must not all be 0',
    ],
    ["an app's env", withApp({ env: { TOKEN: 'x' } }), '#/apps/aider/env', /environment/],
    ["an app's env, even an empty one", withApp({ env: null }), '#/apps/aider/env', /environment/],
    [
      'an app without a name',
      { ...withRule({}), apps: { ...withRule({}).apps, '': anApp() } },
      '#/apps/',
      /1 to 200/,
    ],
    [
      'more than 200 apps',
      aConfig({ apps: Object.fromEntries(Array.from({ length: 201 }, (_, i) => [`app-${i}`, {}])) }),
      '#/apps',
      /200/,
    ],
    [
      'more than 500 rules',
      withRules(
        ...Array.from({ length: 501 }, (_, i) => ({
          id: `rule-${i}`,
          match: { project_id: [`p-${i}`] },
          select_from: ['aider', 'codex'],
        })),
      ),
      '#/routing/rules',
      /500/,
    ],
  ]
  it.each(cases)('%s', (_, document, pointer, detail) => {
    const { faults_of_form, faults_of_meaning, config } = check(document)
    expect(faults_of_form).toEqual([])
    expect(faults_of_meaning).toEqual([
      { pointer, detail: typeof detail === 'string' ? detail : expect.stringMatching(detail) },
    ])
    expect(config).toBeNull()
  })

  it('names every fault at once', () => {
    const document = {
      ...withRules(
        { id: 'a', select_from: ['nobody'] },
        { id: 'a', select_from: ['aider'], fallback_to: ['aider'] },
      ),
      defaults: { max_attempts: 0 },
    }
    const pointers = check(document).faults_of_meaning.map(({ pointer }) => pointer)
    expect(pointers).toEqual([
      '#/routing/rules/0/select_from/0',
      '#/routing/rules/1/id',
      '#/routing/rules/1/fallback_to/0',
      '#/defaults/max_attempts',
    ])
  })

  it('writes / and ~ in names as pointers do', () => {
    const document = { ...withRule({}), apps: { ...withRule({}).apps, 'a/b~c': { ...anApp(), env: {} } } }
    expect(check(document).faults_of_meaning[0]?.pointer).toBe('#/apps/a~1b~0c/env')
  })
})

describe('fallback circles', () => {
  const circlesIn = (...rules: Rule[]) => {
    const apps = { aider: {}, codex: {}, claude: {} }
    return check(aConfig({ apps, rules })).faults_of_meaning.map(
      ({ pointer, detail }) => `${pointer} ${detail}`,
    )
  }

  it('a rule may not fall back to a tool that it chooses from', () => {
    expect(circlesIn({ id: 'a', select_from: ['aider'], fallback_to: ['codex', 'aider'] })).toEqual([
      `${RULE}/fallback_to/1 leads back to where it began: aider → aider`,
    ])
  })

  it('nor twice to the same', () => {
    expect(circlesIn({ id: 'a', select_from: ['aider'], fallback_to: ['codex', 'codex'] })).toEqual([
      `${RULE}/fallback_to/1 stands in the list twice`,
    ])
  })

  it('nor round through an earlier rule that takes the same tasks', () => {
    const faults = circlesIn(
      { id: 'a', match: { task_kind: ['edit'] }, select_from: ['aider'], fallback_to: ['claude'] },
      { id: 'b', select_from: ['claude'], match: { task_kind: ['edit'] }, fallback_to: ['codex'] },
      {
        id: 'c',
        match: { task_kind: ['edit'], risk_tier: ['low'] },
        select_from: ['codex'],
        fallback_to: ['aider'],
      },
    )
    expect(faults).toEqual([
      '#/routing/rules/2/fallback_to/0 leads back to where it began: codex → aider → claude → codex',
    ])
  })

  it('two rules for different tasks may name each other', () => {
    const faults = circlesIn(
      { id: 'a', match: { risk_tier: ['high'] }, select_from: ['claude'], fallback_to: ['codex'] },
      { id: 'b', match: { risk_tier: ['low'] }, select_from: ['codex'], fallback_to: ['claude'] },
    )
    expect(faults).toEqual([])
  })

  it('a special rule and the general one after it may name each other', () => {
    const faults = circlesIn(
      { id: 'a', match: { risk_tier: ['high'] }, select_from: ['claude'], fallback_to: ['codex'] },
      { id: 'b', select_from: ['codex'], fallback_to: ['claude'] },
    )
    expect(faults).toEqual([])
  })
})

describe('warnings, each with its place', () => {
  const early = { id: 'early', match: { task_kind: ['edit'] }, select_from: ['aider'] }
  const late = {
    id: 'late',
    match: { task_kind: ['edit'], risk_tier: ['low'] as 'low'[] },
    select_from: ['codex'],
  }
  const cases: [warning: string, document: unknown, code: string, pointer: string, detail: RegExp][] = [
    [
      'an app that can do only some of the kinds of its rule',
      withRule({ match: { task_kind: ['edit', 'test'] }, select_from: ['aider'], fallback_to: ['codex'] }),
      'app_partly_capable',
      `${RULE}/select_from/0`,
      /cannot do test/,
    ],
    [
      'an unknown field of an app',
      withApp({ colour: 'red' }),
      'unknown_field',
      '#/apps/aider/colour',
      /no effect/,
    ],
    [
      'an unknown field of capabilities',
      withApp({ capabilities: { task_kinds: ['edit'], languages: [] } }),
      'unknown_field',
      '#/apps/aider/capabilities/languages',
      /languages/,
    ],
    [
      'an unknown field of limits',
      withApp({ limits: { memory: 1 } }),
      'unknown_field',
      '#/apps/aider/limits/memory',
      /memory/,
    ],
    [
      'an unknown field of a rule',
      withRule({ weight: 3 } as object),
      'unknown_field',
      `${RULE}/weight`,
      /weight/,
    ],
    [
      'an unknown field of routing',
      { ...withRule({}), routing: { ...withRule({}).routing, mode: 'x' } },
      'unknown_field',
      '#/routing/mode',
      /mode/,
    ],
    [
      'an unknown field of the defaults',
      withDefaults({ max_retries: 3 }),
      'unknown_field',
      '#/defaults/max_retries',
      /max_retries is kept/,
    ],
    [
      'an unknown field of auto',
      withDefaults({ auto: { speed: 1 } }),
      'unknown_field',
      '#/defaults/auto/speed',
      /speed/,
    ],
    [
      'an unknown weight',
      withDefaults({ auto: { weights: { luck: 1 } } }),
      'unknown_field',
      '#/defaults/auto/weights/luck',
      /luck/,
    ],
    [
      'a field that is called like something every object has',
      withApp({ constructor: 1 }),
      'unknown_field',
      '#/apps/aider/constructor',
      /constructor/,
    ],
    [
      'a key of a match that no task has',
      withRule({ match: { risk_teir: ['low'] } as object }),
      'unknown_field',
      `${RULE}/match/risk_teir`,
      /never matches/,
    ],
    [
      'a string for the list of complexities',
      withRule({ match: { complexity: 'simple' } }),
      'string_for_list',
      `${RULE}/match/complexity`,
      /"simple" is read as a list of one/,
    ],
    [
      'an empty list of kinds',
      withRule({ match: { task_kind: [] } }),
      'rule_never_matches',
      `${RULE}/match/task_kind`,
      /empty/,
    ],
    [
      'an empty list in a match',
      withRule({ match: { domain: [] } }),
      'rule_never_matches',
      `${RULE}/match/domain`,
      /empty/,
    ],
    [
      'a rule behind a required one for the same tasks',
      withRules({ ...early, required: true }, late),
      'rule_shadowed',
      '#/routing/rules/1',
      /Never reached: rule early is required/,
    ],
    [
      'a rule behind another for the same tasks',
      withRules(early, late),
      'rule_reached_late',
      '#/routing/rules/1',
      /only when rule early has no eligible tool/,
    ],
    [
      'a risk that goes to a tool of a lower tier',
      withRule({
        match: { risk_tier: ['low', 'medium', 'high'] },
        select_from: ['aider'],
        fallback_to: ['codex'],
      }),
      'risk_above_tier',
      `${RULE}/select_from/0`,
      /risk medium, high to aider, whose safety tier is low/,
    ],
    [
      'an app that no rule selects',
      withRule({ select_from: ['aider'] }),
      'app_unselected',
      '#/apps/codex',
      /No rule selects codex/,
    ],
    [
      'an app without kinds',
      withApp({ capabilities: {} }),
      'app_without_task_kinds',
      '#/apps/aider/capabilities',
      /can do nothing/,
    ],
    [
      'an app with an empty list of kinds',
      withApp({ capabilities: { task_kinds: [] } }),
      'app_without_task_kinds',
      '#/apps/aider/capabilities',
      /can do nothing/,
    ],
    [
      'an app that a rule lists twice',
      withRule({ select_from: ['aider', 'codex', 'aider'] }),
      'listed_twice',
      `${RULE}/select_from/2`,
      /one turn/,
    ],
    [
      'a validator that is a tool',
      withValidators({ codex: {} }, ['codex']),
      'validates_as_tool',
      `${RULE}/validate_with/0`,
      /has to succeed all the same/,
    ],
    [
      'a validator that a rule lists twice',
      withValidators({ codex: { kind: 'validator' } }, ['codex', 'codex']),
      'listed_twice',
      `${RULE}/validate_with/1`,
      /looks once/,
    ],
  ]
  it.each(cases)('%s', (_, document, code, pointer, detail) => {
    const { warnings, config } = check(document)
    expect(warnings).toEqual([{ code, pointer, detail: expect.stringMatching(detail) }])
    expect(config).toBe(document)
  })

  it('nobody is warned of', () => {
    const quiet = [
      withRule({ min_safety_tier: 'high', match: { risk_tier: ['high'] } }),
      withRule({ select_from: ['aider'], fallback_to: ['codex'] }),
      withRules({ id: 'any' }),
      withRules(late, { ...early, select_from: ['aider', 'codex'] }),
      withRules(
        { id: 'a', match: { labels: ['team:core'] }, select_from: ['aider'] },
        { id: 'b', match: { labels: ['team:web'] }, select_from: ['codex'] },
      ),
    ]
    for (const document of quiet) expect(check(document).warnings).toEqual([])
  })

  it('a rule that never matches takes no tasks away', () => {
    const never = { ...early, match: { risk_teir: ['low'] } as object, required: true }
    expect(check(withRules(never, late)).warnings.map(({ code }) => code)).toEqual(['unknown_field'])
  })

  it('a required rule is named before one that only goes first', () => {
    const { warnings } = check(withRules(early, { ...early, id: 'strict', required: true }, late))
    expect(warnings.map(({ code, pointer }) => [code, pointer])).toEqual([
      ['rule_reached_late', '#/routing/rules/1'],
      ['rule_shadowed', '#/routing/rules/2'],
    ])
  })
})

it('of very many warnings the last says how many more there are', () => {
  const fields = Object.fromEntries(Array.from({ length: 1500 }, (_, i) => [`field-${i}`, i]))
  const { warnings } = check(withDefaults(fields))
  expect(warnings).toHaveLength(1001)
  expect(warnings.at(-1)).toMatchObject({ code: 'more_warnings', detail: 'There are 500 more warnings.' })
})

it('a sentence about very many kinds names a few', () => {
  const task_kind = ['edit', ...Array.from({ length: 50 }, (_, i) => `kind-${i}`)]
  const { warnings } = check(withRule({ match: { task_kind } }))
  expect(warnings[0]?.detail).toBe(
    'aider cannot do kind-0, kind-1, kind-2, kind-3 and 46 more, which the rule matches too.',
  )
})

describe('a configuration that is not one', () => {
  const cases: [what: string, document: unknown, pointers: string[]][] = [
    ['null', null, ['#']],
    ['a list', [], ['#']],
    ['a string', 'apps', ['#']],
    ['an empty object', {}, ['#/version', '#/apps', '#/routing']],
    ['a list for the map of apps', { ...withRule({}), apps: [] }, ['#/apps']],
    ['null for routing', { ...withRule({}), routing: null }, ['#/routing']],
    ['a map for the list of rules', { ...withRule({}), routing: { rules: {} } }, ['#/routing/rules']],
    ['a string for a rule', { ...withRule({}), routing: { rules: ['edits'] } }, ['#/routing/rules/0']],
    ['null for a match', withRule({ match: null as never }), [`${RULE}/match`]],
    ['a string for the list of tools', withRule({ select_from: 'aider' as never }), [`${RULE}/select_from`]],
    [
      'a string for the list of kinds',
      withRule({ match: { task_kind: 'edit' as never } }),
      [`${RULE}/match/task_kind`],
    ],
    ['null for an app', { ...withRule({}), apps: { aider: null, codex: anApp() } }, ['#/apps/aider']],
    ['null for capabilities', withApp({ capabilities: null }), ['#/apps/aider/capabilities']],
    [
      'a number among the kinds',
      withApp({ capabilities: { task_kinds: [1] } }),
      ['#/apps/aider/capabilities/task_kinds/0'],
    ],
    [
      'a fraction for max_parallel',
      withApp({ limits: { max_parallel: 1.5 } }),
      ['#/apps/aider/limits/max_parallel'],
    ],
    ['an unknown field at the root', { ...withRule({}), rules: [] }, ['#/rules']],
    ['an unknown strategy', withRule({ strategy: 'best' as never }), [`${RULE}/strategy`]],
    [
      'an unknown risk',
      withRule({ match: { risk_tier: ['extreme' as never] } }),
      [`${RULE}/match/risk_tier/0`],
    ],
    ['a label without a value', withRule({ match: { labels: ['team'] } }), [`${RULE}/match/labels/0`]],
    ['null for the defaults', { ...withRule({}), defaults: null }, ['#/defaults']],
  ]
  it.each(cases)('%s has faults of form, and no crash', (_, document, pointers) => {
    const { faults_of_form, config } = check(document)
    expect(faults_of_form.map(({ pointer }) => pointer)).toEqual(pointers)
    expect(config).toBeNull()
  })

  it('no JSON value makes any of it throw', () => {
    // What a configuration could have anywhere: right words in wrong places find more than noise does.
    const words = [
      'apps',
      'routing',
      'rules',
      'match',
      'select_from',
      'fallback_to',
      'capabilities',
      'task_kinds',
      'limits',
      'defaults',
      'auto',
      'weights',
      'complexity',
      'id',
      'aider',
      '__proto__',
      'constructor',
    ]
    const { tree: anything } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { depthSize: 'medium' },
        fc.constantFrom<unknown>(null, true, 0, -1, 1.5, 'aider', 'simple', ''),
        fc.array(tie('tree'), { maxLength: 4 }),
        fc.dictionary(fc.constantFrom(...words), tie('tree'), { maxKeys: 8 }),
      ),
    }))
    const nearly = fc.record(
      { version: fc.constant('1.0.0'), apps: anything, routing: anything, defaults: anything },
      { requiredKeys: [] },
    )
    fc.assert(
      fc.property(fc.oneof(anything, nearly), nearly, (one, other) => {
        const document: unknown = JSON.parse(JSON.stringify(one))
        checkMeaning(document)
        check(document)
        compileRouterConfig(document as never, 1)
        diffRouterConfigs(document, other)
        contentHash(document)
      }),
      { numRuns: 600 },
    )
  })
})

describe('the content hash', () => {
  it('is the same however the document is ordered', () => {
    const document = withRule({})
    const { version, apps, routing } = document
    expect(contentHash({ routing, apps, version })).toBe(contentHash(document))
    expect(contentHash(document)).toMatch(/^[0-9a-f]{64}$/)
  })

  it('is the SHA-256 of the RFC 8785 text', () => {
    expect(contentHash({ b: 1.0, a: 'é' })).toBe(
      'aa58fba8483623bed37c1b02edfccbdd9a53123837c20bfa4cb4049993a2872e',
    )
  })

  it('is another for other content', () => {
    expect(contentHash(withRule({ required: true }))).not.toBe(contentHash(withRule({})))
  })
})
