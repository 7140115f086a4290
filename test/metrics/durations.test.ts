import { expect, it } from 'vitest'
import { createDurations } from '../../src/metrics/durations.ts'

const open = () => createDurations({ name: 'answer_seconds', help: 'How long.', buckets: [0.1, 1] })

it('counts what is up to each bound, by method, route and status', () => {
  const durations = open()
  const get = durations.of('GET', '/v1/runs/{run_id}')
  for (const seconds of [0.05, 0.1, 0.5, 30]) get(200, seconds)
  get(404, 0.25)
  durations.of('POST', '/v1/runs')(201, 0)
  expect(durations.text()).toBe(`# HELP answer_seconds How long.
# TYPE answer_seconds histogram
answer_seconds_bucket{method="GET",route="/v1/runs/{run_id}",status="200",le="0.1"} 2
answer_seconds_bucket{method="GET",route="/v1/runs/{run_id}",status="200",le="1"} 3
answer_seconds_bucket{method="GET",route="/v1/runs/{run_id}",status="200",le="+Inf"} 4
answer_seconds_sum{method="GET",route="/v1/runs/{run_id}",status="200"} 30.65
answer_seconds_count{method="GET",route="/v1/runs/{run_id}",status="200"} 4
answer_seconds_bucket{method="GET",route="/v1/runs/{run_id}",status="404",le="0.1"} 0
answer_seconds_bucket{method="GET",route="/v1/runs/{run_id}",status="404",le="1"} 1
answer_seconds_bucket{method="GET",route="/v1/runs/{run_id}",status="404",le="+Inf"} 1
answer_seconds_sum{method="GET",route="/v1/runs/{run_id}",status="404"} 0.25
answer_seconds_count{method="GET",route="/v1/runs/{run_id}",status="404"} 1
answer_seconds_bucket{method="POST",route="/v1/runs",status="201",le="0.1"} 1
answer_seconds_bucket{method="POST",route="/v1/runs",status="201",le="1"} 1
answer_seconds_bucket{method="POST",route="/v1/runs",status="201",le="+Inf"} 1
answer_seconds_sum{method="POST",route="/v1/runs",status="201"} 0
answer_seconds_count{method="POST",route="/v1/runs",status="201"} 1
`)
})

it('adds up what several tell of the same route', () => {
  const durations = open()
  durations.of('GET', '/livez')(200, 0.5)
  durations.of('GET', '/livez')(200, 0.25)
  expect(durations.text()).toContain('answer_seconds_sum{method="GET",route="/livez",status="200"} 0.75\n')
})

it('says what it is also before anything happened', () => {
  expect(open().text()).toBe('# HELP answer_seconds How long.\n# TYPE answer_seconds histogram\n')
})
