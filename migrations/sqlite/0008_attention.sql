-- What needs somebody: the indexes that lists and summaries of runs ask, each with one seek for a run.

-- listRuns with needs_attention: requests that wait for another try, and runs with requests that finally failed.
-- Only those pay for them.
CREATE INDEX execution_requests_retrying ON execution_requests (run_id) WHERE state = 'queued' AND attempts > 0;
CREATE INDEX runs_with_failed_requests ON runs (run_id) WHERE requests_failed > 0;
-- Whether any worker of a run was heard of since an instant, and how many requests of a run are held.
CREATE INDEX leases_by_run ON leases (run_id, heartbeat_at);
-- getRunSummary: how many requests of a run wait for other tasks.
CREATE INDEX execution_requests_blocked ON execution_requests (run_id) WHERE state = 'blocked';
