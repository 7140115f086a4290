import { type Static, Type } from '@sinclair/typebox'
import { anyOf } from './common.ts'
import { LIMITS } from './limits.ts'
import { ref, words } from './named.ts'

export const RunAttention = words(
  'RunAttention',
  ['retrying', 'stalled', 'failed_requests', 'circuit_open'],
  'Why a run may need somebody. `retrying`: an execution request of it was tried, and waits for its next try. `stalled`: it is running, and for a while nothing has happened in it: no event, and no heartbeat of a worker. `failed_requests`: an execution request of it has finally failed, whatever became of the run. `circuit_open`: an execution request of it is queued, for its first try or another, for a tool whose circuit lets nothing through now; its run may be pending.',
)
export type RunAttention = Static<typeof RunAttention>

/** The filter of what needs somebody, and what its words mean exactly. */
export const attentionFilter = {
  needs_attention: anyOf(ref(RunAttention), 'Runs that need somebody for one of these reasons.'),
  stalled_for: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: LIMITS.stalled_seconds_max,
      description: `After how many seconds without an event or a heartbeat a running run is \`stalled\`; absent is ${LIMITS.stalled_seconds}. Naming it asks for stalled runs: it adds \`stalled\` to \`needs_attention\`.`,
    }),
  ),
}
