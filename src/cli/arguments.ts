import { InvalidArgumentError } from 'commander'

// Parsers of what stands behind a flag. commander says which flag it was.

export const integer = (minimum: number, maximum: number) => (text: string) => {
  const value = /^\d+$/.test(text) ? Number(text) : NaN
  if (value >= minimum && value <= maximum) return value
  throw new InvalidArgumentError(`It has to be an integer from ${minimum} to ${maximum}.`)
}

/** A flag that may be repeated. */
export const collect = (value: string, before: string[] = []): string[] => [...before, value]

/** The same, for words of a form. */
export const collectMatching =
  (pattern: string, form: string) =>
  (value: string, before: string[] = []) => {
    if (new RegExp(pattern).test(value)) return [...before, value]
    throw new InvalidArgumentError(`It has to be ${form}.`)
  }

/** The same, for words of a list. */
export const collectOf =
  (words: readonly string[]) =>
  (value: string, before: string[] = []) => {
    if (words.includes(value)) return [...before, value]
    throw new InvalidArgumentError(`It has to be one of ${words.join(', ')}.`)
  }
