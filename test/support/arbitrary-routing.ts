import fc from 'fast-check'
import type { RouterConfig } from '../../src/contract/documents/router-config.ts'
import type { ToolInputs } from '../../src/contract/routing.ts'
import type { Task } from '../../src/contract/task.ts'
import type { Facts } from '../../src/domain/routing.ts'
import { aConfig } from './routing.ts'

// Few tools, kinds and words, so that what is drawn meets.

export const TOOLS = ['aider', 'claude', 'codex', 'eslint', 'gemini', 'git', 'pytest', 'tsc', 'vitest']
export const KINDS = ['edit', 'review', 'test']
const DOMAINS = ['backend', 'docs']
const TIERS = ['low', 'medium', 'high'] as const
const STRATEGIES = ['fixed', 'round_robin', 'auto'] as const

const maybe = <T>(some: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(some, { nil: undefined })
/** Without the keys that are undefined: absent is absent. */
const record = <T extends object>(fields: T) =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [K in keyof T as undefined extends T[K] ? never : K]: T[K]
  } & {
    [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>
  }

const anApp = fc
  .record({
    kinds: fc.subarray(KINDS),
    domains: maybe(fc.subarray(DOMAINS)),
    tier: maybe(fc.constantFrom(...TIERS)),
    max: maybe(fc.integer({ min: 1, max: 3 })),
    cost: maybe(fc.integer({ min: 0, max: 50_000 })),
  })
  .map(record)

const aMatch = fc
  .record({
    task_kind: maybe(fc.subarray(KINDS, { minLength: 1 })),
    risk_tier: maybe(fc.subarray([...TIERS], { minLength: 1 })),
    domain: maybe(fc.subarray(DOMAINS, { minLength: 1 })),
    labels: maybe(fc.constant<string[]>(['team:core'])),
  })
  .map(record)

const aRule = (tools: string[]) =>
  fc
    .record({
      match: aMatch,
      select_from: maybe(fc.shuffledSubarray(tools, { minLength: 1 })),
      strategy: maybe(fc.constantFrom(...STRATEGIES)),
      min_safety_tier: maybe(fc.constantFrom(...TIERS)),
      required: maybe(fc.boolean()),
      fallback_to: maybe(fc.shuffledSubarray(TOOLS, { maxLength: 4 })),
    })
    .map(record)

export const configuration: fc.Arbitrary<RouterConfig> = fc
  .dictionary(fc.constantFrom(...TOOLS), anApp, { minKeys: 1, noNullPrototype: true })
  .chain((apps) =>
    fc.record({
      apps: fc.constant(apps),
      rules: fc.array(aRule(Object.keys(apps)), { maxLength: 5 }),
      strategy: fc.constantFrom(...STRATEGIES),
      all_open: maybe(fc.constantFrom('wait' as const, 'fail' as const)),
    }),
  )
  .map(({ apps, rules, strategy, all_open }) =>
    aConfig({
      apps,
      rules: rules.map((rule, place) => ({ id: `rule-${place}`, ...rule })),
      defaults: {
        strategy,
        auto: { exploration: 0.3 },
        ...(all_open === undefined ? {} : { when_all_open: all_open }),
      },
    }),
  )

export const task: fc.Arbitrary<Task> = fc
  .record({
    task_kind: fc.constantFrom(...KINDS),
    classification: maybe(
      fc
        .record({ risk_tier: maybe(fc.constantFrom(...TIERS)), domain: maybe(fc.constantFrom(...DOMAINS)) })
        .map(record),
    ),
    labels: maybe(fc.constant({ team: 'core' })),
    allowed_tools: maybe(fc.subarray(TOOLS, { minLength: 4 })),
    excluded_tools: maybe(fc.subarray(TOOLS, { maxLength: 3 })),
  })
  .map(record)

export const aTool: fc.Arbitrary<Omit<ToolInputs, 'tool_id'>> = fc
  .record({
    running: fc.integer({ min: 0, max: 3 }),
    paused: fc.boolean(),
    successes: fc.double({ min: 0, max: 50, noNaN: true }),
    failures: fc.double({ min: 0, max: 50, noNaN: true }),
    median_duration_ms: fc.option(fc.double({ min: 0, max: 1e6, noNaN: true })),
    circuit: maybe(
      fc.record({
        state: fc.constantFrom('open' as const, 'half_open' as const),
        open_until: fc.constantFrom('2026-01-05T09:31:00.000Z', '2026-01-05T09:32:00.000Z'),
        takes_probe: fc.boolean(),
      }),
    ),
  })
  .map(({ circuit, ...tool }) => (circuit === undefined ? tool : { ...tool, circuit }))

export const facts: fc.Arbitrary<Facts> = fc.record({
  tools: fc.tuple(...TOOLS.map((tool_id) => aTool.map((tool) => ({ tool_id, ...tool })))),
  rotations: fc.array(
    fc.record({
      rule_id: fc.constantFrom(null, 'rule-0', 'rule-1', 'rule-2'),
      order: fc.shuffledSubarray(TOOLS),
    }),
    { maxLength: 3 },
  ),
})

export const seed = fc.integer({ min: 0, max: 0xffff_ffff })
