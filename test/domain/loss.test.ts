import { expect, it } from 'vitest'
import { recordLoss } from '../../src/domain/loss.ts'
import { aSnapshot, systemStart } from '../support/builders.ts'
import { payloadsOf } from '../support/decision.ts'
import { NOW, given } from '../support/given.ts'

const anchor = { seq: 12, count: 12, hash: 'ab'.repeat(32) }

it('an accepted loss is an event of the chain that belongs to no run', () => {
  const decided = recordLoss(aSnapshot({ system: systemStart() }), given(), anchor)
  expect(decided.changes).toEqual([])
  expect(decided.events).toMatchObject([
    { kind: 'audit_loss_accepted', run_id: null, run_seq: 1, ts: NOW, from: null, to: null },
  ])
  expect(payloadsOf(decided)).toEqual([{ anchor }])
})

it('it goes on where that chain ends', () => {
  const system = { event_count: 4, last_hash: 'cd'.repeat(32) }
  expect(recordLoss(aSnapshot({ system }), given(), anchor).events).toMatchObject([{ run_seq: 5 }])
})

it('it breaks where the chain was not loaded, rather than begin it anew', () => {
  expect(() => recordLoss(aSnapshot(), given(), anchor)).toThrow('must load the system chain')
})
