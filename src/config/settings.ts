import { type Static, type TSchema, Type } from '@sinclair/typebox'
import { LIMITS } from '../contract/limits.ts'
import { KEY_ID_PATTERN, KEY_SCOPES } from '../keys.ts'

/** Where a value may come from; the first that gives one wins. */
export type Source = 'flag' | 'environment' | 'file'

/** One row of the table. The flag and the variable are made from its name. */
interface Setting<Schema extends TSchema> {
  /** What is accepted. Its `description` says so in words, wherever the schema's kind alone does not. */
  schema: Schema
  default: Static<Schema>
  description: string
  /** What a number counts. */
  unit?: string
  /** Absent: every source. */
  from?: readonly Source[]
  /** What to show instead of a value that is secret; refusals do not repeat such a value either. */
  masked?(value: Static<Schema>): unknown
}

/** Checks one row, and keeps the exact type of its schema. */
function setting<Schema extends TSchema>(row: Setting<Schema>): Setting<Schema> {
  return row
}

function oneOf<const Word extends string>(words: readonly Word[]) {
  return Type.Union(
    words.map((word) => Type.Literal(word)),
    { description: `one of ${words.join(', ')}` },
  )
}

/** One key that callers may use. The server knows only its hash. */
export const ApiKey = Type.Object(
  {
    id: Type.String({ pattern: KEY_ID_PATTERN, description: '1 to 32 lower-case letters and digits' }),
    sha256: Type.String({ pattern: '^[0-9a-f]{64}$', description: '64 lower-case hexadecimal characters' }),
    scopes: Type.Array(oneOf(KEY_SCOPES), {
      minItems: 1,
      uniqueItems: true,
      description: `a list of at least one of ${KEY_SCOPES.join(', ')}, each once`,
    }),
    projects: Type.Optional(
      Type.Array(
        Type.String({
          minLength: 1,
          maxLength: LIMITS.name_length,
          description: `1 to ${LIMITS.name_length} characters`,
        }),
        { minItems: 1, description: 'a list of at least one project_id; leave it out for all projects' },
      ),
    ),
  },
  { additionalProperties: false, description: 'a mapping of id, sha256, scopes and, if wanted, projects' },
)
export type ApiKey = Static<typeof ApiKey>

const Origin = Type.String({
  pattern: '^https?://([a-z0-9.-]+|\\[[0-9a-f:]+\\])(:[0-9]{1,5})?$',
  description: 'an origin like https://app.example.com',
})

const HostName = Type.String({
  pattern: '^([a-z0-9.-]+|\\[[0-9a-f:]+\\])$',
  description: 'a lower-case host name without a port',
})

/** Every setting there is. Checks, `--help`, `config print` and the documentation are all made from this table. */
export const SETTINGS = {
  host: setting({
    schema: Type.String({
      pattern: '^[^\\s/\\[\\]]+$',
      description: 'a host name or an IP address (IPv6 without brackets)',
    }),
    default: '127.0.0.1',
    description: 'The address to listen on. One that other machines reach needs api_keys, or insecure.',
  }),
  port: setting({
    schema: Type.Integer({ minimum: 0, maximum: 65_535 }),
    default: 8710,
    description: 'The TCP port to listen on; 0 takes a free one.',
  }),
  data_dir: setting({
    schema: Type.String({
      minLength: 1,
      description: 'a path; a relative one starts at the working directory',
    }),
    default: './data',
    description:
      'The directory of the database. It is created when missing, and belongs to one process at a time.',
  }),
  log_level: setting({
    schema: oneOf(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']),
    default: 'info',
    description: 'The least severe log lines to write.',
  }),
  api_keys: setting({
    schema: Type.Array(ApiKey, {
      description:
        'a list of keys, each with id, sha256, scopes and, if wanted, projects; as JSON in the environment',
    }),
    default: [],
    description:
      'The keys that callers may use; `signalbox keys new` makes one. With none, nobody needs a key.',
    from: ['environment', 'file'],
    masked: (keys) => keys.map((key) => ({ ...key, sha256: '********' })),
  }),
  insecure: setting({
    schema: Type.Boolean(),
    default: false,
    description: 'Listen where other machines reach the server although no api_keys are set.',
  }),
  allowed_origins: setting({
    schema: Type.Array(Origin, {
      description: 'a list of origins like https://app.example.com; in flags and variables with commas',
    }),
    default: [],
    description: 'The origins of other web pages whose scripts may call the server.',
  }),
  allowed_hosts: setting({
    schema: Type.Array(HostName, {
      description: 'a list of lower-case host names without a port; in flags and variables with commas',
    }),
    default: [],
    description: 'Further names, beside localhost, under which a server without api_keys answers.',
  }),
  max_connections: setting({
    schema: Type.Integer({ minimum: 1, maximum: 1_000_000 }),
    default: 10_000,
    unit: 'connections',
    description: 'How many connections may be open at once; further ones are closed at once.',
  }),
  max_streams: setting({
    schema: Type.Integer({ minimum: 0, maximum: 1_000_000 }),
    default: 2_000,
    unit: 'streams',
    description:
      'How many event streams may be open at once, each of which may take 256 KiB; further ones are answered 503.',
  }),
  write_queue_max: setting({
    schema: Type.Integer({ minimum: 1, maximum: 1_000_000 }),
    default: 4_096,
    unit: 'writes',
    description: 'How many writes may wait for the disk; further ones are answered 503.',
  }),
  idempotency_ttl_hours: setting({
    schema: Type.Integer({ minimum: 1, maximum: 8_760 }),
    default: 24,
    unit: 'hours',
    description: 'How long an Idempotency-Key is remembered.',
  }),
  router_config: setting({
    schema: Type.String({ description: 'a path; a relative one starts at the working directory' }),
    default: '',
    description:
      'A router configuration, as JSON (.json) or YAML, to load and activate at the start; with none, the active one stays.',
  }),
  accept_loss: setting({
    schema: Type.Boolean(),
    default: false,
    description: 'Go on with a store that has lost its latest events, and record that it did.',
    // A decision about one start, made by a person who looked: never left behind in a file.
    from: ['flag'],
  }),
}

export type SettingName = keyof typeof SETTINGS
export type Settings = { [Name in SettingName]: Static<(typeof SETTINGS)[Name]['schema']> }

/** The same table, for code that goes over all rows. */
export const SETTING_ROWS = Object.entries(SETTINGS) as [SettingName, Setting<TSchema>][]

const EVERY_SOURCE: readonly Source[] = ['flag', 'environment', 'file']

export function comesFrom(name: SettingName, source: Source): boolean {
  return ((SETTINGS[name] as Setting<TSchema>).from ?? EVERY_SOURCE).includes(source)
}

/** data_dir → --data-dir */
export function flagOf(name: SettingName): string {
  return `--${name.replaceAll('_', '-')}`
}

/** data_dir → SIGNALBOX_DATA_DIR */
export function variableOf(name: SettingName): string {
  return `SIGNALBOX_${name.toUpperCase()}`
}

/** What a schema accepts, in words that follow «it has to be». */
export function allowedBy(schema: TSchema): string {
  if (schema.description !== undefined) return schema.description
  if (schema.type === 'integer') return `an integer from ${schema.minimum} to ${schema.maximum}`
  if (schema.type === 'boolean') return 'true or false'
  throw new Error('a setting of this kind needs a description in its schema')
}
