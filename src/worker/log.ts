export type Level = 'info' | 'warn' | 'error'

/** One thing that happened, in words that do not change, and its facts. */
export type Log = (level: Level, msg: string, facts?: Record<string, unknown>) => void
