import { mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { attemptsIn, forgetAttempts } from '../../src/worker/retention.ts'
import { cleanUp, temporaryDirectory } from '../support/process.ts'

afterAll(cleanUp)

const NOW_MS = Date.parse('2026-01-15T00:00:00Z')
const HOUR_MS = 3_600_000

function attempt(data_dir: string, name: string, age_hours: number): void {
  const directory = join(attemptsIn(data_dir), name)
  mkdirSync(directory, { recursive: true })
  writeFileSync(join(directory, 'stdout.log'), 'hello')
  const began = (NOW_MS - age_hours * HOUR_MS) / 1_000
  utimesSync(directory, began, began)
}

it('the files of attempts are forgotten after so many days, and not before', () => {
  const data_dir = temporaryDirectory()
  attempt(data_dir, 'old', 24 * 14 + 1)
  attempt(data_dir, 'young', 24 * 14 - 1)
  expect(forgetAttempts(data_dir, { keep_days: 14, now_ms: NOW_MS })).toBe(1)
  expect(readdirSync(attemptsIn(data_dir))).toEqual(['young'])
})

it('a worker that has made no attempt has nothing to forget', () => {
  expect(forgetAttempts(temporaryDirectory(), { keep_days: 8, now_ms: NOW_MS })).toBe(0)
})
