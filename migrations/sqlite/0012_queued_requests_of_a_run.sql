-- Circuits in lists of runs (needs_attention=circuit_open): whether a run has requests in the queue of one of the tools whose circuits
-- are open, with one seek for each such tool. Only what is queued pays for it: 2 us when it is, and less when it is claimed.
CREATE INDEX execution_requests_queued_in_run ON execution_requests (run_id, tool_id) WHERE state = 'queued';
