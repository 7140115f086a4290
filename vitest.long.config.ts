import { defineConfig } from 'vitest/config'

const MINUTE_MS = 60_000

/** Kills, races and volumes. They load the machine, so one file runs at a time, and all stay below 12 minutes. */
export default defineConfig({
  test: {
    include: ['test/long/**/*.test.ts'],
    pool: 'forks',
    fileParallelism: false,
    testTimeout: 12 * MINUTE_MS,
    hookTimeout: MINUTE_MS,
    passWithNoTests: true,
  },
})
