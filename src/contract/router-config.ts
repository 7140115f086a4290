import { type Static, Type } from '@sinclair/typebox'
import { Sha256, Timestamp, page, pageOf } from './common.ts'
import { RouterConfig, routerConfigExample } from './documents/router-config.ts'
import { closed, named, nullable, ref, words } from './named.ts'

export const ConfigWarning = named(
  'ConfigWarning',
  closed(
    {
      code: Type.String({
        pattern: '^[a-z][a-z0-9_]{0,63}$',
        description:
          'What it is about. An open set: `app_partly_capable`, `unknown_field`, `string_for_list`, `rule_shadowed`, `rule_reached_late`, `rule_never_matches`, `risk_above_tier`, `app_unselected`, `app_without_task_kinds`, `listed_twice`, `validates_as_tool`, `circuit_without_effect`, `more_warnings`.',
      }),
      pointer: Type.String({ description: 'Where in the document, as a JSON pointer: `#/apps/aider`.' }),
      detail: Type.String({ description: 'What to look at, in words.' }),
    },
    { description: 'Something in an accepted configuration that its authors may not have meant.' },
  ),
)
export type ConfigWarning = Static<typeof ConfigWarning>

const version = (description: string) => Type.Integer({ minimum: 1, description })

const fields = {
  config_version: version('Its number. Versions are never changed.'),
  content_hash: ref(Sha256, { description: 'SHA-256 of the canonical (RFC 8785) text of `document`.' }),
  document: ref(RouterConfig),
  warnings: Type.Array(ref(ConfigWarning), { description: 'What to look at.' }),
  created_at: ref(Timestamp),
  activated_at: nullable(ref(Timestamp), {
    description: 'When it was activated for the last time; null if it never was.',
  }),
}

const example = {
  config_version: 1,
  content_hash: '8d1f3c5b7a9e0c2d4f6a8b0d2e4f6a8c0b2d4e6f8a0c2e4d6f8b0a2c4e6d8f0a',
  document: routerConfigExample,
  warnings: [{ code: 'app_unselected', pointer: '#/apps/eslint', detail: 'No rule selects eslint.' }],
  created_at: '2026-01-05T09:00:00.000Z',
  activated_at: '2026-01-05T09:00:05.000Z',
}

export const RouterConfigVersion = named(
  'RouterConfigVersion',
  closed(fields, {
    description: 'An immutable, numbered version of the router configuration.',
    examples: [example],
  }),
)
export type RouterConfigVersion = Static<typeof RouterConfigVersion>

export const CreatedRouterConfig = named(
  'CreatedRouterConfig',
  closed(
    {
      created: Type.Boolean({
        description: 'Whether the version is new; false if there was one with the same content.',
      }),
      ...fields,
    },
    { description: 'The version that has this content.', examples: [{ created: true, ...example }] },
  ),
)
export type CreatedRouterConfig = Static<typeof CreatedRouterConfig>

export const RouterConfigPage = pageOf('RouterConfigPage', RouterConfigVersion, 'router configurations')

export const RouterConfigParams = closed(
  { config_version: version('The number of the version.') },
  { description: 'Which version.' },
)

export const RouterConfigsQuery = closed(page('desc'), { description: 'Paging.' })
export type RouterConfigsQuery = Static<typeof RouterConfigsQuery>

export const ActivateRouterConfig = named(
  'ActivateRouterConfig',
  closed({}, { description: 'Nothing is needed to activate a configuration.', examples: [{}] }),
)

export const ConfigSubject = words(
  'ConfigSubject',
  ['document', 'app', 'rule', 'defaults'],
  'What part of a configuration a change is about.',
)

export const ConfigChangeKind = words(
  'ConfigChangeKind',
  ['added', 'removed', 'changed', 'moved'],
  'What happened to it. A rule is `moved` if it stands elsewhere among the rules that both have.',
)

export const FieldChange = named(
  'FieldChange',
  closed(
    {
      pointer: Type.String({
        description: 'Where in the app, rule or defaults: `#/limits/max_parallel`. `#` is the whole.',
      }),
      before: Type.Unknown({ description: 'The JSON value before; null where there was none.' }),
      after: Type.Unknown({ description: 'The JSON value after; null where there is none.' }),
    },
    { description: 'One value that differs.' },
  ),
)
export type FieldChange = Static<typeof FieldChange>

export const ConfigChange = named(
  'ConfigChange',
  closed(
    {
      subject: ref(ConfigSubject),
      id: nullable(Type.String(), { description: 'The app or rule; null for the other subjects.' }),
      change: ref(ConfigChangeKind),
      fields: Type.Array(ref(FieldChange), {
        description: 'What differs. Of what was added or removed, the whole; of a move, the places from 0.',
      }),
    },
    { description: 'One difference between two configurations.' },
  ),
)
export type ConfigChange = Static<typeof ConfigChange>

export const RouterConfigDiff = named(
  'RouterConfigDiff',
  closed(
    {
      config_version: version('The version that is looked at.'),
      against: version('The version that it is compared with.'),
      identical: Type.Boolean({ description: 'Whether they have the same content.' }),
      changes: Type.Array(ref(ConfigChange), { description: 'What is different from `against`.' }),
    },
    {
      description: 'What makes one version different from another.',
      examples: [
        {
          config_version: 2,
          against: 1,
          identical: false,
          changes: [
            {
              subject: 'app',
              id: 'aider',
              change: 'changed',
              fields: [{ pointer: '#/limits/max_parallel', before: 2, after: 4 }],
            },
          ],
        },
      ],
    },
  ),
)
export type RouterConfigDiff = Static<typeof RouterConfigDiff>

export const DiffQuery = closed(
  { against: version('The version to compare with.') },
  { description: 'What to compare with.' },
)
export type DiffQuery = Static<typeof DiffQuery>
