import type { Heartbeat } from '../contract/dispatch.ts'
import type { LiveStepAttempt } from '../contract/step-progress.ts'
import type { StepAttempt } from '../contract/step.ts'
import { type Reporting, type StepNews, type StepReport, reportAfter } from '../domain/step-report.ts'

/**
 * What workers said last of the attempts that they carry out, one for each lease at the most. It is in memory alone: who
 * reads after a restart has to wait for the next heartbeat, and no output of a program stands in a file for it.
 */
export interface StepReports {
  /** The heartbeat was committed. @returns what streams are to be told */
  said(heartbeat: Heartbeat, reporting: Reporting, now: string): StepNews | null
  /** The lease has ended, and what was said with it is over. */
  ended(execution_request_id: string): void
  /** The attempt with what was said of it. */
  live(step: StepAttempt): LiveStepAttempt
}

export function createStepReports(): StepReports {
  const byRequest = new Map<string, StepReport>()
  return {
    said(heartbeat, reporting, now) {
      if (heartbeat.progress == null && heartbeat.output == null) return null
      const { execution_request_id } = reporting
      const before = byRequest.get(execution_request_id) ?? null
      const { after, news } = reportAfter(before, heartbeat, { reporting, now })
      byRequest.set(execution_request_id, after)
      return news
    },
    ended: (execution_request_id) => void byRequest.delete(execution_request_id),
    live(step) {
      const { step_attempt_id, execution_request_id } = step
      const report = execution_request_id === null ? undefined : byRequest.get(execution_request_id)
      // A request has one attempt after the other, and others may be asked for by their ids.
      const { progress, output } = report?.step_attempt_id === step_attempt_id ? report : NOTHING
      return { ...step, progress, output }
    },
  }
}

const NOTHING = { progress: null, output: null }
