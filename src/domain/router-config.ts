import { hash } from 'node:crypto'
import type { Fault } from '../contract/problem.ts'
import type { ConfigWarning } from '../contract/router-config.ts'
import { canonicalText } from './canonical.ts'
import { faultsOfMeaning, sizeFaults } from './router-config-faults.ts'
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
  const tooMany = sizeFaults(config)
  if (tooMany.length > 0) return { faults: tooMany, warnings: [] } // rules are compared with each other
  return { faults: faultsOfMeaning(document, config), warnings: warningsOf(document, config) }
}

/** SHA-256 of the RFC 8785 text: the same content has the same hash, however it is ordered and spaced. */
export const contentHash = (document: unknown): string => hash('sha256', canonicalText(document), 'hex')
