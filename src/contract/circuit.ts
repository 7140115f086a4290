import { type Static, Type } from '@sinclair/typebox'
import { Timestamp, count } from './common.ts'
import { closed, named, nullable, ref, words } from './named.ts'

/** In the order of the machine. */
export const CircuitState = words(
  'CircuitState',
  ['closed', 'open', 'half_open'],
  'Whether a tool gets work: as much as it may do; none until an instant; or one attempt, to see whether it works again.',
)
export type CircuitState = Static<typeof CircuitState>

export const CircuitReason = words(
  'CircuitReason',
  ['failures_in_row', 'failure_rate', 'auth', 'rate_limited', 'probe_failed'],
  'Why a circuit opened: too many failures in a row; too large a share of the recent attempts failed; the tool was refused for its credentials; for its rate; or the attempt failed that was to see whether it works again.',
)
export type CircuitReason = Static<typeof CircuitReason>

export const ToolCircuit = named(
  'ToolCircuit',
  closed(
    {
      state: ref(CircuitState),
      reason: nullable(ref(CircuitReason), { description: 'Why it opened; null if it is closed.' }),
      failures_in_row: count(
        'Failures without a success between them. Time-outs, cancellations, `invalid_request` and `worker_error` do not count.',
      ),
      opened_at: nullable(ref(Timestamp), { description: 'When it opened last; null if it is closed.' }),
      open_until: nullable(ref(Timestamp), {
        description: 'From when on one attempt is let through; null if it is closed.',
      }),
      open_seconds: nullable(Type.Integer({ minimum: 1 }), {
        description:
          'For how long it opened, unless the failure said until when; doubles with each probe that fails. Null if it is closed.',
      }),
    },
    { description: 'What keeps work away from a tool that is broken.' },
  ),
)
export type ToolCircuit = Static<typeof ToolCircuit>

export const CircuitInput = named(
  'CircuitInput',
  closed(
    {
      state: ref(CircuitState),
      open_until: ref(Timestamp, { description: 'From when on one attempt is let through.' }),
      takes_probe: Type.Boolean({
        description:
          'Whether an attempt would be let through: the instant has passed, and none is under way.',
      }),
    },
    { description: 'A circuit that was not closed.' },
  ),
)
export type CircuitInput = Static<typeof CircuitInput>
