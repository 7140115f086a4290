import { expect, it } from 'vitest'
import type { Change, Lease } from '../../src/domain/decision.ts'
import { type LeaseNews, tellLeases } from '../../src/orchestrator/lease-news.ts'
import { NOW } from '../support/given.ts'
import { NO_ID } from '../support/builders.ts'

const lease: Lease = {
  execution_request_id: NO_ID,
  run_id: NO_ID,
  step_attempt_id: NO_ID,
  tool_id: 'aider',
  worker_id: 'w1',
  token_hash: 'f'.repeat(64),
  fence: 1,
  lease_seconds: 60,
  claimed_at: NOW,
  heartbeat_at: NOW,
  lease_expires_at: NOW,
  attempt_expires_at: NOW,
}

const newsOf = (...changes: Change[]): LeaseNews[] => {
  const news: LeaseNews[] = []
  tellLeases(changes, (each) => void news.push(each))
  return news
}

it('tells a lease that began, and one that was lost', () => {
  expect(
    newsOf(
      { record: 'lease', before: null, after: lease },
      { record: 'lease_ended', lease: { ...lease, tool_id: 'pytest' }, lost: 'lease_expired' },
    ),
  ).toEqual([
    { tool_id: 'aider', what: 'claimed' },
    { tool_id: 'pytest', what: 'lease_expired' },
  ])
})

it('does not tell a lease that goes on, or that its worker has ended', () => {
  expect(
    newsOf({ record: 'lease', before: lease, after: lease }, { record: 'lease_ended', lease, lost: null }),
  ).toEqual([])
})
