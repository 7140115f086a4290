/** What holds where neither the task nor the tool nor the configuration says otherwise. */
export const DEFAULTS = {
  timeout_seconds: 600,
  max_attempts: 3,
  max_parallel: 1,
} as const

/** When the circuit of a tool opens and for how long, where its app says nothing else. */
export const CIRCUIT_DEFAULTS = {
  failures_in_row: 5,
  failure_rate: 0.5,
  min_attempts: 10,
  window_seconds: 60,
  open_seconds: 60,
  max_open_seconds: 900,
} as const
