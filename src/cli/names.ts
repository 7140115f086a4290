/** What is called how, by id. */
export interface Names {
  get(id: string): string | undefined
  set(id: string, name: string): void
  delete(id: string): void
}

/** A stream may go on for months. Of more than this, the first are forgotten. */
const REMEMBERED = 10_000

export function createNames(): Names {
  const names = new Map<string, string>()
  return {
    get: (id) => names.get(id),
    set(id, name) {
      names.set(id, name)
      if (names.size > REMEMBERED) names.delete(names.keys().next().value!)
    },
    delete: (id) => void names.delete(id),
  }
}
