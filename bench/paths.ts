import { fileURLToPath } from 'node:url'

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url))

/** Beside bench/, in a checkout and in the compiled copy alike. */
export const MIGRATIONS = path('../migrations/sqlite')
