import type { Page } from '../../contract/common.ts'
import type { RouterConfigVersion, RouterConfigsQuery } from '../../contract/router-config.ts'
import type { Activation } from '../../domain/decision.ts'
import { type CompiledRouter, compileRouterConfig } from '../../domain/compiled-router.ts'
import type { Connection } from './connection.ts'
import { type Order, numericBounds, prepareScan, readPage } from './scan.ts'
import { type Cell, type Row, placeholders, prepareRaw } from './table.ts'

/** The columns of `router_configs`, in the order of `encode` and `decode`. */
const COLUMNS = [
  'config_version',
  'content_hash',
  'document',
  'warnings',
  'created_at',
  'activated_at',
] as const
const columns = COLUMNS.join(', ')

const encode = (config: RouterConfigVersion): Cell[] => [
  config.config_version,
  config.content_hash,
  JSON.stringify(config.document),
  JSON.stringify(config.warnings),
  config.created_at,
  config.activated_at,
]

// The cast is what STRICT columns and `encode` make true.
const decode = (row: Row): RouterConfigVersion =>
  ({
    config_version: row[0],
    content_hash: row[1],
    document: JSON.parse(row[2] as string) as unknown,
    warnings: JSON.parse(row[3] as string) as unknown,
    created_at: row[4],
    activated_at: row[5],
  }) as RouterConfigVersion

/** Compiled configurations that are kept ready: the active one, and those that decisions are replayed under. */
const COMPILED_MAX = 16

export function routerConfigsTable(db: Connection) {
  const get = prepareRaw(db, `SELECT ${columns} FROM router_configs WHERE config_version = ?`)
  const byContent = prepareRaw(db, `SELECT ${columns} FROM router_configs WHERE content_hash = ?`)
  const hashOf = prepareRaw(db, 'SELECT content_hash FROM router_configs WHERE config_version = ?')
  const highest = prepareRaw(db, 'SELECT max(config_version) FROM router_configs')
  const insert = db.prepare<[Row]>(
    `INSERT INTO router_configs (${columns}) VALUES (${placeholders(COLUMNS)})`,
  )
  const noteActivation = db.prepare<[Row]>(
    'UPDATE router_configs SET activated_at = ? WHERE config_version = ? AND activated_at IS ?',
  )
  const activation = prepareRaw(db, 'SELECT activations, config_version FROM router_activation WHERE id = 1')
  const active = prepareRaw(
    db,
    `SELECT config_version, content_hash FROM router_configs
     WHERE config_version = (SELECT config_version FROM router_activation WHERE id = 1)`,
  )
  const activate = db.prepare<[Row]>(
    'UPDATE router_activation SET activations = ?, config_version = ? WHERE activations = ?',
  )

  const one = (row: Cell[] | undefined) => (row === undefined ? null : decode(row))
  const getVersion = (config_version: number) => one(get.get([config_version]))
  const compiled = compiledOnce(getVersion)
  return {
    get: getVersion,
    withContent: (content_hash: string) => one(byContent.get([content_hash])),
    highest: (): number => (highest.get([])?.[0] as number | null) ?? 0,
    activation(): Activation {
      const [activations, config_version] = activation.get([])! // the migration made the one row
      return { activations, config_version } as Activation
    },
    compiled(config_version: number): CompiledRouter | null {
      const row = hashOf.get([config_version])
      return row === undefined ? null : compiled(config_version, row[0] as string)
    },
    /** That of the active version; null if none is. */
    active(): CompiledRouter | null {
      const row = active.get([])
      return row === undefined ? null : compiled(row[0] as number, row[1] as string)
    },

    /** A version is written once; later only its activation moves. */
    write(before: RouterConfigVersion | null, after: RouterConfigVersion): void {
      if (before === null) return void insert.run(encode(after))
      const { config_version, activated_at } = before
      requireOne(noteActivation.run([after.activated_at, config_version, activated_at]).changes)
    },
    activate: (before: Activation, after: Activation): void =>
      requireOne(activate.run([after.activations, after.config_version, before.activations]).changes),
  }
}

function requireOne(changes: number): void {
  if (changes !== 1) throw new Error('stale write: the activation of a router configuration')
}

/**
 * A version never changes, so what was compiled holds for ever. Its hash is asked for all the same: a transaction
 * that made a version may be taken back, and the number then goes to another.
 */
function compiledOnce(get: (config_version: number) => RouterConfigVersion | null) {
  const kept = new Map<string, CompiledRouter>()
  return (config_version: number, content_hash: string): CompiledRouter => {
    const key = `${config_version} ${content_hash}`
    const ready = kept.get(key)
    if (ready !== undefined) return ready
    const router = compileRouterConfig(get(config_version)!.document, config_version)
    const [oldest] = kept.keys()
    if (kept.size >= COMPILED_MAX && oldest !== undefined) kept.delete(oldest)
    kept.set(key, router)
    return router
  }
}

export function routerConfigList(db: Connection) {
  const prepared = (order: Order) =>
    prepareScan(db, {
      columns,
      walk: 'FROM router_configs WHERE config_version > ? AND config_version < ?',
      key: 'config_version',
      order,
      passes: 'true',
    })
  const scans = { asc: prepared('asc'), desc: prepared('desc') }

  return ({ limit, cursor, order = 'desc' }: RouterConfigsQuery): Page<RouterConfigVersion> => {
    const list = { list: 'router_configs', order }
    return readPage({
      list,
      limit,
      scan: scans[order],
      walk: numericBounds(list, { cursor, order }),
      position: (row) => row[0] as number,
      decode,
    })
  }
}
