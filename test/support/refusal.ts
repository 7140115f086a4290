import { LedgerError } from '../../src/domain/error.ts'

export interface Refusal {
  code: string
  detail: string
  context: LedgerError['context']
}

/** What an act is refused with. Fails where it is not refused, or breaks. */
export function refusal(act: () => unknown): Refusal {
  try {
    act()
  } catch (error) {
    return refusalFrom(error)
  }
  throw new Error('it was not refused')
}

export async function refusalOf(act: Promise<unknown>): Promise<Refusal> {
  return act.then(() => {
    throw new Error('it was not refused')
  }, refusalFrom)
}

function refusalFrom(error: unknown): Refusal {
  if (!(error instanceof LedgerError)) throw error
  return { code: error.code, detail: error.message, context: error.context }
}
