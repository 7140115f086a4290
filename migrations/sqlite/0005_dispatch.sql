-- Dispatch: what the machine changes of an execution request when workers claim it, the leases that they hold, and
-- what is known of them.

ALTER TABLE execution_requests ADD COLUMN attempts            INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0);
ALTER TABLE execution_requests ADD COLUMN fence               INTEGER NOT NULL DEFAULT 0 CHECK (fence >= attempts);
ALTER TABLE execution_requests ADD COLUMN worker_id           TEXT;
ALTER TABLE execution_requests ADD COLUMN rejected_by         TEXT    NOT NULL DEFAULT '[]';
ALTER TABLE execution_requests ADD COLUMN sequence            INTEGER CHECK (sequence >= 1);
ALTER TABLE execution_requests ADD COLUMN step_attempt_id     TEXT    REFERENCES step_attempts (step_attempt_id);
ALTER TABLE execution_requests ADD COLUMN available_at        TEXT    NOT NULL DEFAULT '';
ALTER TABLE execution_requests ADD COLUMN queue_expires_at    TEXT;
ALTER TABLE execution_requests ADD COLUMN cancel_requested_at TEXT;
-- 0 critical, 1 high, 2 normal, 3 low: from the document, so that a claim walks an index in its own order.
ALTER TABLE execution_requests ADD COLUMN priority_rank       INTEGER NOT NULL DEFAULT 2 CHECK (priority_rank BETWEEN 0 AND 3);

UPDATE execution_requests SET
  available_at = created_at,
  priority_rank = CASE document ->> '$.classification.priority'
    WHEN 'critical' THEN 0 WHEN 'high' THEN 1 WHEN 'low' THEN 3 ELSE 2 END;
-- The earlier of the two ends of waiting, as src/domain/retry.ts has it.
UPDATE execution_requests SET
  queue_expires_at = strftime('%Y-%m-%dT%H:%M:%fZ', created_at, '+' || min(
    coalesce(document ->> '$.routing.queue_timeout_seconds', document ->> '$.routing.total_timeout_seconds'),
    coalesce(document ->> '$.routing.total_timeout_seconds', document ->> '$.routing.queue_timeout_seconds')
  ) || ' seconds')
  WHERE state IN ('blocked', 'queued');

-- claimExecutionRequests: the first of what waits for a tool.
CREATE INDEX execution_requests_queued ON execution_requests (tool_id, priority_rank, execution_request_id)
  WHERE state = 'queued';
-- What has waited too long, and what can be claimed later.
CREATE INDEX execution_requests_waiting ON execution_requests (queue_expires_at)
  WHERE queue_expires_at IS NOT NULL;
CREATE INDEX execution_requests_available ON execution_requests (available_at) WHERE state = 'queued';

-- A row for each claimed request: who holds it and until when. Heartbeats move it; it ends with the claim.
CREATE TABLE leases (
  execution_request_id TEXT    NOT NULL PRIMARY KEY REFERENCES execution_requests (execution_request_id),
  run_id               TEXT    NOT NULL REFERENCES runs (run_id),
  step_attempt_id      TEXT    NOT NULL REFERENCES step_attempts (step_attempt_id),
  tool_id              TEXT    NOT NULL,
  worker_id            TEXT    NOT NULL,
  token_hash           TEXT    NOT NULL,
  fence                INTEGER NOT NULL CHECK (fence >= 1),
  lease_seconds        INTEGER NOT NULL CHECK (lease_seconds >= 1),
  claimed_at           TEXT    NOT NULL,
  heartbeat_at         TEXT    NOT NULL,
  lease_expires_at     TEXT    NOT NULL,
  attempt_expires_at   TEXT    NOT NULL
) STRICT;

-- How many leases a tool has, what a worker holds, and which lease ends next.
CREATE INDEX leases_by_tool ON leases (tool_id);
CREATE INDEX leases_by_worker ON leases (worker_id);
CREATE INDEX leases_by_end ON leases (min(lease_expires_at, attempt_expires_at));

CREATE TABLE workers (
  worker_id     TEXT    NOT NULL PRIMARY KEY,
  tools         TEXT    NOT NULL,
  first_seen_at TEXT    NOT NULL,
  last_seen_at  TEXT    NOT NULL,
  done          INTEGER NOT NULL CHECK (done >= 0),
  failed        INTEGER NOT NULL CHECK (failed >= 0)
) STRICT;
