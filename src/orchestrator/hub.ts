import { type Circuit, isBarred } from '../domain/circuit.ts'
import type { Change, ToolBook } from '../domain/decision.ts'
import type { StepNews } from '../domain/step-report.ts'
import { type Closings, createClosings } from './closings.ts'
import { type StepReports, createStepReports } from './step-reports.ts'
import { type Waiters, createWaiters } from './waiters.ts'

/** What commits mean to those who wait: hints, after the commit. The tables remain the truth. */
export interface Hub {
  waiters: Waiters
  closings: Closings
  reports: StepReports
  /** These changes were committed. */
  published(changes: readonly Change[], now: string): void
  /** A claim found work for these tools and no room: the end of a lease of theirs is worth a look. */
  starved(tools: ReadonlySet<string>): void
  /** Is told after each commit that may have written events, before whoever asked for it is answered: be quick. */
  onCommitted(listener: () => void): void
  /** Streams are to be told this. */
  reported(news: StepNews): void
  /** Is told what streams are to be told beside events. */
  onReported(listener: (news: StepNews) => void): void
  /** Is told whenever the circuit of a tool has opened: what waits for it may go elsewhere. */
  onOpened(listener: (tool_id: string) => void): void
  /** Is told whenever a tool may get work that got none before: its circuit or its pause, or the configuration, has moved. */
  onReturned(listener: () => void): void
  /** Is told whenever time will end something earlier than was known. */
  onDue(listener: (instant: string) => void): void
}

/** Made without anything to wait for, and without a tool. */
const isStranded = (change: Change): boolean =>
  change.record === 'execution_request' && (change.waiting_for ?? 0) === 0

/** What is queued and claimed in one transaction waits for nobody. */
const isClaimed = (change: Change, changes: readonly Change[]): boolean =>
  (change.record === 'execution_request' || change.record === 'request_progress') &&
  change.after.state === 'queued' &&
  changes.some((later) => later.record === 'request_progress' && later.before === change.after)

interface CircuitNow {
  tool_id: string
  after: Circuit
  now: string
}

/** Whom it tells; nobody at first. */
interface Listeners {
  committed: () => void
  reported: (news: StepNews) => void
  opened: (tool_id: string) => void
  returned: () => void
  due: (instant: string) => void
}

export function createHub(): Hub {
  const waiters = createWaiters()
  const closings = createClosings()
  const reports = createStepReports()
  const starving = new Set<string>()
  const tell: Listeners = { committed() {}, reported() {}, opened() {}, returned() {}, due() {} }
  const publish = publisher({ waiters, closings, reports, starving, tell })
  return {
    waiters,
    closings,
    reports,
    published(changes, now) {
      for (const change of changes) if (!isClaimed(change, changes)) publish(change, now)
      tell.committed()
    },
    starved: (tools) => tools.forEach((tool_id) => void starving.add(tool_id)),
    reported: (news) => tell.reported(news),
    onReported: (listener) => void (tell.reported = listener),
    onDue: (listener) => void (tell.due = listener),
    onOpened: (listener) => void (tell.opened = listener),
    onReturned: (listener) => void (tell.returned = listener),
    onCommitted: (listener) => void (tell.committed = listener),
  }
}

interface Parts {
  waiters: Waiters
  closings: Closings
  reports: StepReports
  starving: ReadonlySet<string>
  tell: Listeners
}

/** What a change means to those who wait. */
function publisher({
  waiters,
  closings,
  reports,
  starving,
  tell,
}: Parts): (change: Change, now: string) => void {
  const publishReturn = (now: string): void => {
    tell.returned()
    tell.due(now) // the sweep looks again at what found nobody
  }

  const publishCircuit = (before: Circuit, { tool_id, after, now }: CircuitNow): void => {
    if (after.state === 'open' && after.open_until !== before.open_until) {
      tell.opened(tool_id)
      tell.due(now) // the sweep looks at what waits for it
      tell.due(after.open_until!)
    }
    if (after.state === 'closed' && before.state !== 'closed') waiters.offerAll()
    if (isBarred(before, now) && !isBarred(after, now)) publishReturn(now)
  }
  const publishPause = (before: ToolBook, after: ToolBook, now: string): void => {
    if (after.pause?.until != null) tell.due(after.pause.until)
    if (before.pause === null || after.pause !== null) return
    waiters.offerAll()
    publishReturn(now)
  }
  return (change, now) => {
    switch (change.record) {
      case 'run':
        if (change.after.run.ended_at !== null) closings.closed(change.after.run.run_id)
        return
      case 'execution_request':
      case 'request_progress': {
        const { state, available_at, queue_expires_at, assignment } = change.after
        if (queue_expires_at !== null) tell.due(queue_expires_at)
        if (state === 'blocked' && isStranded(change)) return tell.due(now)
        if (state !== 'queued' || assignment === null) return
        return available_at > now ? tell.due(available_at) : waiters.offer(assignment.tool_id)
      }
      case 'task_waits':
        if (change.stranded) tell.due(now)
        return
      case 'lease':
        tell.due(change.after.lease_expires_at)
        return tell.due(change.after.attempt_expires_at)
      case 'lease_ended':
        reports.ended(change.lease.execution_request_id)
        if (starving.has(change.lease.tool_id)) waiters.offer(change.lease.tool_id)
        return
      case 'tool':
        publishPause(change.before, change.after, now)
        return publishCircuit(change.before.circuit, {
          tool_id: change.after.record.tool_id,
          after: change.after.circuit,
          now,
        })
      case 'activation':
        waiters.offerAll()
        return publishReturn(now)
      default: // nobody waits for the others
    }
  }
}
