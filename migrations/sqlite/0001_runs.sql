-- The ledger: runs, the attempts at their steps, the events that tell of every change, and the answers that
-- repeated idempotency keys get again. Instants are RFC 3339 text with three decimals, so text order is time order.

CREATE TABLE runs (
  run_id               TEXT    NOT NULL PRIMARY KEY,
  project_id           TEXT    NOT NULL,
  phase_id             TEXT    NOT NULL,
  workstream_id        TEXT,
  execution_request_id TEXT,
  state                TEXT    NOT NULL CHECK (state IN ('pending', 'running', 'succeeded', 'failed', 'quarantined', 'canceled')),
  state_reason         TEXT,
  trigger_type         TEXT    NOT NULL CHECK (trigger_type IN ('manual', 'ci', 'error_pipeline', 'scheduled', 'other')),
  trigger_ref          TEXT,
  requested_by         TEXT,
  step_attempts        INTEGER NOT NULL CHECK (step_attempts >= 0),
  patches_created      INTEGER NOT NULL CHECK (patches_created >= 0),
  patches_applied      INTEGER NOT NULL CHECK (patches_applied >= 0),
  errors               INTEGER NOT NULL CHECK (errors >= 0),
  exit_code            INTEGER,
  error_message        TEXT,
  labels               TEXT    NOT NULL,
  metadata             TEXT    NOT NULL,
  completion           TEXT    NOT NULL CHECK (completion IN ('manual', 'auto')),
  on_failure           TEXT    NOT NULL CHECK (on_failure IN ('fail', 'quarantine', 'continue')),
  traceparent          TEXT,
  created_at           TEXT    NOT NULL,
  started_at           TEXT,
  ended_at             TEXT,
  updated_at           TEXT    NOT NULL,
  version              INTEGER NOT NULL CHECK (version >= 1),
  -- What the guards of a run need, so that one read of this row knows everything.
  event_count          INTEGER NOT NULL CHECK (event_count >= 1),
  last_hash            TEXT    NOT NULL,
  sequence_max         INTEGER NOT NULL CHECK (sequence_max >= 0),
  steps_running        INTEGER NOT NULL CHECK (steps_running >= 0),
  CHECK ((ended_at IS NULL) = (state IN ('pending', 'running'))),
  CHECK (steps_running = 0 OR state = 'running')
) STRICT;

-- listRuns by project, and by state: the two filters that narrow a list most.
CREATE INDEX runs_by_project ON runs (project_id, run_id);
CREATE INDEX runs_by_state ON runs (state, run_id);

-- listRuns by label. Only labelled runs pay for it.
CREATE TABLE run_labels (
  key    TEXT NOT NULL,
  value  TEXT NOT NULL,
  run_id TEXT NOT NULL REFERENCES runs (run_id),
  PRIMARY KEY (key, value, run_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE step_attempts (
  step_attempt_id      TEXT    NOT NULL PRIMARY KEY,
  run_id               TEXT    NOT NULL REFERENCES runs (run_id),
  sequence             INTEGER NOT NULL CHECK (sequence BETWEEN 1 AND 1000000),
  attempt              INTEGER NOT NULL CHECK (attempt >= 1),
  retry_of             TEXT    REFERENCES step_attempts (step_attempt_id),
  tool_id              TEXT    NOT NULL,
  tool_run_id          TEXT,
  execution_request_id TEXT,
  route_decision_id    TEXT,
  prompt_id            TEXT,
  input_prompt         TEXT,
  state                TEXT    NOT NULL CHECK (state IN ('running', 'succeeded', 'failed', 'canceled')),
  state_reason         TEXT,
  exit_code            INTEGER,
  signal               TEXT,
  error_class          TEXT,
  error_code           TEXT,
  error_log            TEXT,
  stdout_tail          TEXT,
  stderr_tail          TEXT,
  patch_ids            TEXT    NOT NULL,
  logs_path            TEXT,
  raw_response_path    TEXT,
  tokens_input         INTEGER,
  tokens_output        INTEGER,
  cost_usd_micros      INTEGER,
  duration_ms          INTEGER,
  metadata             TEXT    NOT NULL,
  started_at           TEXT    NOT NULL,
  ended_at             TEXT,
  version              INTEGER NOT NULL CHECK (version >= 1),
  UNIQUE (run_id, sequence, attempt),
  CHECK ((ended_at IS NULL) = (state = 'running')),
  CHECK ((attempt = 1) = (retry_of IS NULL))
) STRICT;

-- listStepAttempts: the attempts of a run in the order of their ids.
CREATE INDEX step_attempts_by_run ON step_attempts (run_id, step_attempt_id);
-- Closing a run: its running attempts, however many have ended.
CREATE INDEX step_attempts_running ON step_attempts (run_id, step_attempt_id) WHERE state = 'running';

CREATE TABLE events (
  seq             INTEGER NOT NULL PRIMARY KEY,
  event_id        TEXT    NOT NULL,
  run_id          TEXT    REFERENCES runs (run_id),
  run_seq         INTEGER NOT NULL CHECK (run_seq >= 1),
  step_attempt_id TEXT,
  ts              TEXT    NOT NULL,
  kind            TEXT    NOT NULL,
  "from"          TEXT,
  "to"            TEXT,
  actor_type      TEXT    NOT NULL CHECK (actor_type IN ('key', 'worker', 'system', 'anonymous')),
  actor_id        TEXT,
  http_request_id TEXT,
  payload         TEXT,
  payload_salt    TEXT,
  payload_hash    TEXT    NOT NULL,
  hash            TEXT    NOT NULL,
  CHECK ((payload IS NULL) = (payload_salt IS NULL)),
  UNIQUE (run_id, run_seq)
) STRICT;

-- UNIQUE does not bind NULLs: the events without a run need their own.
CREATE UNIQUE INDEX events_without_run ON events (run_seq) WHERE run_id IS NULL;

CREATE TRIGGER events_are_never_deleted BEFORE DELETE ON events
BEGIN
  SELECT RAISE(ABORT, 'events are never deleted');
END;

-- The one change that is allowed erases the payload with its salt, and touches nothing else.
CREATE TRIGGER events_are_never_changed BEFORE UPDATE ON events
WHEN NOT (
  NEW.payload IS NULL AND NEW.payload_salt IS NULL
  AND NEW.seq IS OLD.seq AND NEW.event_id IS OLD.event_id AND NEW.run_id IS OLD.run_id
  AND NEW.run_seq IS OLD.run_seq AND NEW.step_attempt_id IS OLD.step_attempt_id AND NEW.ts IS OLD.ts
  AND NEW.kind IS OLD.kind AND NEW."from" IS OLD."from" AND NEW."to" IS OLD."to"
  AND NEW.actor_type IS OLD.actor_type AND NEW.actor_id IS OLD.actor_id
  AND NEW.http_request_id IS OLD.http_request_id AND NEW.payload_hash IS OLD.payload_hash
  AND NEW.hash IS OLD.hash
)
BEGIN
  SELECT RAISE(ABORT, 'events are never changed');
END;

CREATE TRIGGER runs_are_never_deleted BEFORE DELETE ON runs
BEGIN
  SELECT RAISE(ABORT, 'runs are never deleted');
END;

CREATE TRIGGER step_attempts_are_never_deleted BEFORE DELETE ON step_attempts
BEGIN
  SELECT RAISE(ABORT, 'step attempts are never deleted');
END;

-- Keys begin with the run's id or, for creations, with the client's own key, so that neighbours in time are
-- neighbours on a page. They are purged in the order of the rowid, which is that of time.
CREATE TABLE idempotency_keys (
  key         TEXT    NOT NULL PRIMARY KEY,
  fingerprint TEXT    NOT NULL,
  status      INTEGER NOT NULL,
  body        TEXT    NOT NULL,
  etag        TEXT,
  location    TEXT,
  created_at  TEXT    NOT NULL
) STRICT;
