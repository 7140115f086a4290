import { hash } from 'node:crypto'
import type { RouterConfig } from '../contract/documents/router-config.ts'
import type { Fault } from '../contract/problem.ts'
import type { ConfigWarning } from '../contract/router-config.ts'
import { canonicalText } from './canonical.ts'
import { faultsOfMeaning } from './router-config-faults.ts'
import { type ConfigView, viewConfig } from './router-config-view.ts'
import { warningsOf } from './router-config-warnings.ts'

export interface Meaning {
  faults: Fault[]
  warnings: ConfigWarning[]
}

/**
 * What is wrong with a configuration beyond its form, and what its authors may not have meant. Takes any JSON
 * value: where the form is wrong it says what can be said of the rest.
 */
export function checkMeaning(document: unknown): Meaning {
  const config: ConfigView = viewConfig(document)
  return { faults: faultsOfMeaning(document, config), warnings: warningsOf(document, config) }
}

export interface ConfigCheck {
  /** Against the schema. */
  faults_of_form: Fault[]
  faults_of_meaning: Fault[]
  warnings: ConfigWarning[]
  /** The document, if there are no faults. */
  config: RouterConfig | null
}

/** The whole check, every fault at once. `checkForm` holds a document against the schema of `router_config.v1`. */
export function checkRouterConfig(document: unknown, checkForm: (document: unknown) => Fault[]): ConfigCheck {
  const faults_of_form = checkForm(document)
  const { faults: faults_of_meaning, warnings } = checkMeaning(document)
  const isSound = faults_of_form.length === 0 && faults_of_meaning.length === 0
  return {
    faults_of_form,
    faults_of_meaning,
    warnings,
    config: isSound ? (document as RouterConfig) : null, // checkForm has just said so
  }
}

/** SHA-256 of the RFC 8785 text: the same content has the same hash, however it is ordered and spaced. */
export const contentHash = (document: unknown): string => hash('sha256', canonicalText(document), 'hex')
