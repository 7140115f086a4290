import type { Reply } from './wire.ts'

/** How the answers to one step looked. Two servers are comparable if theirs look alike. */
export interface Tally {
  step: string
  answers: number
  /** Of all bodies together. */
  bytes: number
  statuses: number[]
  /** The header names of an answer, sorted; more than one text if answers differed. */
  header_names: string[]
}

/** Reading the header names of every answer would cost the client too much. */
const SAMPLE_EVERY = 64

export type Tallies = ReturnType<typeof createTallies>

export function createTallies() {
  const tallies = new Map<string, Tally>()

  function tallyOf(step: string): Tally {
    let tally = tallies.get(step)
    if (tally === undefined) {
      tally = { step, answers: 0, bytes: 0, statuses: [], header_names: [] }
      tallies.set(step, tally)
    }
    return tally
  }

  return {
    all: (): Tally[] => [...tallies.values()],
    count(step: string, { status, head, length }: Reply): void {
      const tally = tallyOf(step)
      if (tally.answers % SAMPLE_EVERY === 0) addOnce(tally.header_names, headerNames(head))
      tally.answers++
      tally.bytes += length
      addOnce(tally.statuses, status)
    },
  }
}

function addOnce<T>(list: T[], value: T): void {
  if (!list.includes(value)) list.push(value)
}

const headerNames = (head: string): string =>
  head
    .trimEnd()
    .split('\r\n')
    .slice(1)
    .map((line) => line.slice(0, line.indexOf(':')).toLowerCase())
    .sort()
    .join(' ')

/** In what the answers of one side differ from those of another; empty if the two can be compared. */
export function differences(one: readonly Tally[], other: readonly Tally[]): string[] {
  const found = one.flatMap((tally) => {
    const twin = other.find(({ step }) => step === tally.step)
    if (twin === undefined) return [`${tally.step} was answered by one side only`]
    return [
      ...unlike(`${tally.step}: statuses`, tally.statuses, twin.statuses),
      ...unlike(`${tally.step}: headers`, tally.header_names, twin.header_names),
      ...unlikeLength(tally, twin),
    ]
  })
  return one.length === other.length ? found : [...found, 'the sides answered different steps']
}

function unlike(what: string, one: readonly unknown[], other: readonly unknown[]): string[] {
  const texts = [one, other].map((list) => [...list].map(String).sort().join(' | '))
  return texts[0] === texts[1] ? [] : [`${what} are ${texts.join(' and ')}`]
}

const LENGTH_TOLERANCE = 0.05

function unlikeLength(one: Tally, other: Tally): string[] {
  const [a, b] = [one.bytes / one.answers, other.bytes / other.answers]
  if (Math.abs(a - b) <= LENGTH_TOLERANCE * Math.max(a, b)) return []
  return [`${one.step}: bodies have ${Math.round(a)} and ${Math.round(b)} bytes`]
}
