-- Execution requests: the units of work that were built from tasks and their decisions, and how many of them each
-- run has.

-- `document` is the immutable part, as it was hashed. The columns behind it are what the machine changes; those
-- before it are what lists and claims ask for.
CREATE TABLE execution_requests (
  execution_request_id TEXT    NOT NULL PRIMARY KEY,
  run_id               TEXT    NOT NULL REFERENCES runs (run_id),
  project_id           TEXT    NOT NULL,
  document             TEXT    NOT NULL,
  content_hash         TEXT    NOT NULL,
  created_at           TEXT    NOT NULL,
  state                TEXT    NOT NULL CHECK (state IN ('blocked', 'queued', 'claimed', 'succeeded', 'failed', 'canceled')),
  stop_reason          TEXT,
  route_decision_id    TEXT    REFERENCES route_decisions (route_decision_id),
  tool_id              TEXT,
  command              TEXT,
  args                 TEXT,
  updated_at           TEXT    NOT NULL,
  ended_at             TEXT,
  version              INTEGER NOT NULL CHECK (version >= 1),
  CHECK ((ended_at IS NULL) = (state IN ('blocked', 'queued', 'claimed'))),
  CHECK ((stop_reason IS NULL) = (ended_at IS NULL)),
  CHECK ((tool_id IS NULL) = (route_decision_id IS NULL)),
  CHECK ((tool_id IS NULL) = (command IS NULL) AND (tool_id IS NULL) = (args IS NULL))
) STRICT;

-- listExecutionRequests by run and by state, and closing a run: its requests that have not ended.
CREATE INDEX execution_requests_by_run ON execution_requests (run_id, execution_request_id);
CREATE INDEX execution_requests_by_state ON execution_requests (state, execution_request_id);
CREATE INDEX execution_requests_open ON execution_requests (run_id, execution_request_id)
  WHERE state IN ('blocked', 'queued', 'claimed');

CREATE TRIGGER execution_requests_are_never_deleted BEFORE DELETE ON execution_requests
BEGIN
  SELECT RAISE(ABORT, 'execution requests are never deleted');
END;

CREATE TRIGGER execution_requests_keep_their_document BEFORE UPDATE ON execution_requests
WHEN NOT (
  NEW.execution_request_id IS OLD.execution_request_id AND NEW.run_id IS OLD.run_id
  AND NEW.project_id IS OLD.project_id AND NEW.document IS OLD.document
  AND NEW.content_hash IS OLD.content_hash AND NEW.created_at IS OLD.created_at
)
BEGIN
  SELECT RAISE(ABORT, 'the document of an execution request is never changed');
END;

-- What the guards of a run need of its requests, so that one read of its row knows everything.
ALTER TABLE runs ADD COLUMN requests_open      INTEGER NOT NULL DEFAULT 0 CHECK (requests_open >= 0);
ALTER TABLE runs ADD COLUMN requests_succeeded INTEGER NOT NULL DEFAULT 0 CHECK (requests_succeeded >= 0);
ALTER TABLE runs ADD COLUMN requests_failed    INTEGER NOT NULL DEFAULT 0 CHECK (requests_failed >= 0);
ALTER TABLE runs ADD COLUMN requests_canceled  INTEGER NOT NULL DEFAULT 0 CHECK (requests_canceled >= 0);
