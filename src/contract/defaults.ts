/** What holds where neither the task nor the tool nor the configuration says otherwise. */
export const DEFAULTS = {
  timeout_seconds: 600,
  max_attempts: 3,
  max_parallel: 1,
} as const
