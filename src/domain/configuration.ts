import type { RouterConfig } from '../contract/documents/router-config.ts'
import type { Fault } from '../contract/problem.ts'
import type {
  ConfigWarning,
  CreatedRouterConfig,
  RouterConfigDiff,
  RouterConfigVersion,
} from '../contract/router-config.ts'
import { LIMITS } from '../contract/limits.ts'
import { canonicalText } from './canonical.ts'
import type { Activation, Change, Decision, Given, Snapshot } from './decision.ts'
import { unchanged } from './decision.ts'
import { LedgerError } from './error.ts'
import { type EventDraft, chain } from './event-chain.ts'
import { requireIfMatch, requireUnbound } from './guard.ts'
import { checkMeaning, contentHash } from './router-config.ts'
import { diffRouterConfigs } from './router-config-diff.ts'

/** A configuration that was checked whole. */
export interface SoundConfig {
  document: RouterConfig
  content_hash: string
  warnings: ConfigWarning[]
}

/**
 * Checks a document whole, so that every fault is named at once.
 * @param faults_of_form what the schema of `router_config.v1` has against it
 * @throws LedgerError `validation_failed` if one is of form, `router_config_invalid` if all are of meaning
 */
export function soundConfig(document: unknown, faults_of_form: readonly Fault[]): SoundConfig {
  const { faults, warnings } = checkMeaning(document)
  const errors = [...faults_of_form, ...faults].slice(0, LIMITS.document_faults)
  if (errors.length > 0) {
    const code = faults_of_form.length > 0 ? 'validation_failed' : 'router_config_invalid'
    throw new LedgerError(code, `The configuration has ${errors.length} fault(s): see errors.`, { errors })
  }
  return { document: document as RouterConfig, content_hash: contentHash(document), warnings } // the schema said so
}

/** The same content again is the same version. The scope must load the version of this content, if there is one. */
export function createRouterConfig(
  before: Snapshot,
  given: Given,
  sound: SoundConfig,
): Decision<CreatedRouterConfig> {
  requireUnbound(given)
  const { config } = before
  if (config !== null) return unchanged<CreatedRouterConfig>({ created: false, ...config })
  const made = newVersion(before, given, sound)
  return { ...told(before, given, [made]), result: () => ({ created: true, ...made.after }) }
}

/** The scope must load the version; it is active from then on, whatever was before. */
export function activateRouterConfig(before: Snapshot, given: Given): Decision<ActivatedConfig> {
  requireUnbound(given)
  const activation = activationOf(before)
  if (before.config === null) throw configNotFound()
  requireIfMatch(given, activation.activations)
  if (activation.config_version === before.config.config_version) throw isActive(before.config)
  const moved = activated(activation, before.config, given)
  return {
    ...told(before, given, [moved]),
    result: () => ({ ...moved.after, activations: moved.activation.activations }),
  }
}

/** A version, and how often any was activated when it was. */
export type ActivatedConfig = RouterConfigVersion & Pick<Activation, 'activations'>

/** Creates what is not there and activates what is not active: for a server that brings its configuration. */
export function installRouterConfig(
  before: Snapshot,
  given: Given,
  sound: SoundConfig,
): Decision<{ config_version: number; created: boolean; activated: boolean }> {
  const made = before.config === null ? [newVersion(before, given, sound)] : []
  const config = before.config ?? made[0]!.after
  const { config_version } = config
  const activation = activationOf(before)
  const isNew = activation.config_version !== config_version
  const steps = [...made, ...(isNew ? [activated(activation, config, given)] : [])]
  const result = { config_version, created: made.length > 0, activated: isNew }
  return { ...told(before, given, steps), result: () => result }
}

/** What makes a version different from `against`. */
export const diffVersions = (
  config: RouterConfigVersion,
  against: RouterConfigVersion,
): RouterConfigDiff => ({
  config_version: config.config_version,
  against: against.config_version,
  identical: config.content_hash === against.content_hash,
  changes: diffRouterConfigs(against.document, config.document),
})

export const configNotFound = () =>
  new LedgerError(
    'router_config_not_found',
    'No version has this number. See the list at /v1/routing/configs.',
  )

interface Step {
  after: RouterConfigVersion
  changes: Change[]
  draft: EventDraft
}

/** The event names the document by its hash: the version itself is never changed. */
function newVersion(
  before: Snapshot,
  { now }: Given,
  { document, content_hash, warnings }: SoundConfig,
): Step {
  const config_version = before.config_version_max + 1
  const after = { config_version, content_hash, document, warnings, created_at: now, activated_at: null }
  const config = { config_version, content_hash, created_at: now, activated_at: null }
  return {
    after,
    changes: [{ record: 'router_config', before: null, after }],
    draft: { kind: 'config_created', payload_text: canonicalText({ config }) },
  }
}

function activated(
  before: Activation,
  config: RouterConfigVersion,
  { now }: Given,
): Step & { activation: Activation } {
  const { config_version } = config
  const after = { ...config, activated_at: now }
  const activation = { activations: before.activations + 1, config_version }
  return {
    after,
    activation,
    changes: [
      { record: 'router_config', before: config, after },
      { record: 'activation', before, after: activation },
    ],
    draft: {
      kind: 'config_activated',
      payload_text: canonicalText({ config: { config_version, activated_at: now }, activation }),
    },
  }
}

/** The events belong to no run. */
function told(before: Snapshot, given: Given, steps: readonly Step[]) {
  if (before.system === null) throw new Error('the scope must load the system chain')
  const drafts = steps.map(({ draft }) => draft)
  const { events } = chain(null, before.system, drafts, given)
  return { changes: steps.flatMap(({ changes }) => changes), events }
}

function activationOf({ activation }: Snapshot): Activation {
  if (activation === null) throw new Error('the scope must load the activation')
  return activation
}

const isActive = ({ config_version }: RouterConfigVersion) =>
  new LedgerError('transition_refused', `Version ${config_version} is active already.`, {
    state: 'active',
    command: 'activate',
    allowed_commands: [],
  })
