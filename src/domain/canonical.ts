import canonicalize from 'canonicalize'

/** RFC 8785 text of any JSON value. Bodies were checked before: no lone surrogates, no numbers beyond JSON. */
export function canonicalText(value: unknown): string {
  if (isEmptyObject(value)) return '{}'
  const text = canonicalize(value)
  if (text === undefined) throw new Error('not a JSON value')
  return text
}

// The commonest case by far, and half a microsecond of a hot path.
function isEmptyObject(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  for (const _key in value) return false
  return true
}

/** The texts of an object's members by name, for putting several texts together from them: each is made once. */
export const memberTexts = (object: object): ReadonlyMap<string, string> =>
  new Map(
    Object.entries(object).map(([name, value]: [string, unknown]) => [
      name,
      typeof value === 'object' && value !== null ? canonicalText(value) : JSON.stringify(value),
    ]),
  )

/** The text of an object with these members. Names are plain words, sorted by UTF-16 code units (RFC 8785 §3.2.3). */
export const textOfMembers = (names: readonly string[], members: ReadonlyMap<string, string>): string =>
  `{${names.map((name) => `"${name}":${members.get(name)}`).join()}}`
