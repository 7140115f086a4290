import type { RouterConfig } from '../../src/contract/documents/router-config.ts'
import type { Fault } from '../../src/contract/problem.ts'
import type { ConfigWarning } from '../../src/contract/router-config.ts'
import { checkMeaning } from '../../src/domain/router-config.ts'
import type { ToolRecord } from '../../src/domain/tool-record.ts'

export interface ConfigCheck {
  faults_of_form: Fault[]
  faults_of_meaning: Fault[]
  warnings: ConfigWarning[]
  /** The document, if there are no faults. */
  config: RouterConfig | null
}

/** Everything there is to say about a document, with form and meaning told apart. */
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

/** The tool while one attempt more is running: the store counts them. */
export const attemptStarted = (record: ToolRecord, started_at: string): ToolRecord => ({
  ...record,
  running: record.running + 1,
  last_used_at: started_at,
})
