import type { Connection } from '../client/connection.ts'
import { Ulid } from '../contract/common.ts'
import type { Page } from '../contract/common.ts'
import { LIMITS } from '../contract/limits.ts'
import type { Run } from '../contract/run.ts'
import { EXIT, ExitError } from '../exit.ts'

const ULID = new RegExp(Ulid.pattern!)
const ENDING = /^[0-9A-HJKMNP-TV-Z]{4,25}$/

/** How many characters of an id tell runs apart: 40 random bits. */
const SHORT_LENGTH = 8

export const shortId = (id: string): string => id.slice(-SHORT_LENGTH)

/**
 * The id of a run that is given whole, or by its end, as lines of events show it, among the newest runs.
 * @throws ExitError 64 if it is neither, or means several; 66 if there is none
 */
export async function findRun(connection: Connection, given: string): Promise<string> {
  const text = given.toUpperCase()
  if (ULID.test(text)) return text
  if (!ENDING.test(text)) {
    throw new ExitError(
      EXIT.usage,
      `'${given}' is neither the id of a run nor the end of one (4 characters or more).`,
    )
  }
  const { body } = await connection.send<Page<Run>>({
    method: 'GET',
    path: `/v1/runs?limit=${LIMITS.page_max}`,
  })
  const [found, ...others] = body.items
    .filter(({ run_id }) => run_id.endsWith(text))
    .map(({ run_id }) => run_id)
  if (found === undefined) {
    throw new ExitError(
      EXIT.no_input,
      `None of the newest ${body.items.length} runs has an id that ends in ${text}. \`signalbox runs\` lists them.`,
    )
  }
  if (others.length === 0) return found
  throw new ExitError(
    EXIT.usage,
    `${text} is the end of several: ${[found, ...others].join(', ')}. Give more of it.`,
  )
}
