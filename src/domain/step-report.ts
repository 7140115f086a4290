import type { Heartbeat } from '../contract/dispatch.ts'
import { LIMITS } from '../contract/limits.ts'
import type { StepProgress, StepProgressMessage } from '../contract/step-progress.ts'
import { plus } from './retry.ts'

/** What a worker said last of the attempt that it carries out. */
export interface StepReport {
  step_attempt_id: string
  progress: StepProgress | null
  output: string | null
  /** When streams were told of it; null if they were not. */
  streamed_at: string | null
}

/** What streams are told, and who may hear it. */
export interface StepNews {
  message: StepProgressMessage
  project_id: string
}

/** Which attempt it is about. */
export type Reporting = Pick<StepProgressMessage, 'run_id' | 'step_attempt_id' | 'execution_request_id'> & {
  project_id: string
}

/** What a heartbeat leaves out stays as it was. Streams are told at most once a second; what comes sooner can be read. */
export function reportAfter(
  before: StepReport | null,
  { progress, output }: Pick<Heartbeat, 'progress' | 'output'>,
  { reporting, now }: { reporting: Reporting; now: string },
): { after: StepReport; news: StepNews | null } {
  const { project_id, ...attempt } = reporting
  const said = {
    progress: progress == null ? (before?.progress ?? null) : shown(progress),
    output: output ?? before?.output ?? null,
  }
  const streamed_at = before?.streamed_at ?? null
  const isTooSoon = streamed_at !== null && now < plus(streamed_at, LIMITS.progress_every_ms)
  return {
    after: {
      step_attempt_id: attempt.step_attempt_id,
      ...said,
      streamed_at: isTooSoon ? streamed_at : now,
    },
    news: isTooSoon ? null : { message: { kind: 'step_progress', ...attempt, ts: now, ...said }, project_id },
  }
}

const shown = ({ done, total, message }: NonNullable<Heartbeat['progress']>): StepProgress => ({
  done: done ?? null,
  total: total ?? null,
  message: message ?? null,
})
