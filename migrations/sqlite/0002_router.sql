-- The router: its configurations and which of them is active, the decisions that were made, whose turn it is, and
-- what is known of each tool. All of it is read and written in the transactions of the changes that it tells of.

CREATE TABLE router_configs (
  config_version INTEGER NOT NULL PRIMARY KEY CHECK (config_version >= 1),
  content_hash   TEXT    NOT NULL UNIQUE,
  document       TEXT    NOT NULL,
  warnings       TEXT    NOT NULL,
  created_at     TEXT    NOT NULL,
  activated_at   TEXT
) STRICT;

CREATE TRIGGER router_configs_are_never_deleted BEFORE DELETE ON router_configs
BEGIN
  SELECT RAISE(ABORT, 'router configurations are never deleted');
END;

-- The one change that is allowed notes an activation.
CREATE TRIGGER router_configs_are_never_changed BEFORE UPDATE ON router_configs
WHEN NOT (
  NEW.config_version IS OLD.config_version AND NEW.content_hash IS OLD.content_hash
  AND NEW.document IS OLD.document AND NEW.warnings IS OLD.warnings AND NEW.created_at IS OLD.created_at
)
BEGIN
  SELECT RAISE(ABORT, 'router configurations are never changed');
END;

-- One row: how often a configuration was activated, which is its version, and which one last.
CREATE TABLE router_activation (
  id             INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
  activations    INTEGER NOT NULL CHECK (activations >= 0),
  config_version INTEGER REFERENCES router_configs (config_version),
  CHECK ((activations = 0) = (config_version IS NULL))
) STRICT;

INSERT INTO router_activation (id, activations, config_version) VALUES (1, 0, NULL);

-- Whose turn it is, by rule and configuration. The rule without a name is '': any tool that can do it.
CREATE TABLE rotations (
  config_version INTEGER NOT NULL REFERENCES router_configs (config_version),
  rule_id        TEXT    NOT NULL,
  tool_order     TEXT    NOT NULL,
  version        INTEGER NOT NULL CHECK (version >= 1),
  PRIMARY KEY (config_version, rule_id)
) STRICT, WITHOUT ROWID;

-- `record` is the decision as it was answered. The columns beside it are what lists ask for; `project_id` is the
-- task's or, where it names none, that of its run.
CREATE TABLE route_decisions (
  route_decision_id TEXT    NOT NULL PRIMARY KEY,
  outcome           TEXT    NOT NULL CHECK (outcome IN ('routed', 'unroutable')),
  tool_id           TEXT,
  rule_id           TEXT,
  task_kind         TEXT    NOT NULL,
  project_id        TEXT,
  run_id            TEXT    REFERENCES runs (run_id),
  config_version    INTEGER NOT NULL REFERENCES router_configs (config_version),
  record            TEXT    NOT NULL,
  CHECK ((outcome = 'routed') = (tool_id IS NOT NULL))
) STRICT;

-- listRouteDecisions by run. Only decisions that name one pay for it.
CREATE INDEX route_decisions_by_run ON route_decisions (run_id, route_decision_id) WHERE run_id IS NOT NULL;

CREATE TRIGGER route_decisions_are_never_deleted BEFORE DELETE ON route_decisions
BEGIN
  SELECT RAISE(ABORT, 'route decisions are never deleted');
END;

CREATE TRIGGER route_decisions_are_never_changed BEFORE UPDATE ON route_decisions
BEGIN
  SELECT RAISE(ABORT, 'route decisions are never changed');
END;

-- One row for each tool that has ended an attempt or was paused. How many attempts are running is counted below.
CREATE TABLE tools (
  tool_id            TEXT    NOT NULL PRIMARY KEY,
  successes          REAL    NOT NULL CHECK (successes >= 0),
  failures           REAL    NOT NULL CHECK (failures >= 0),
  outcomes_at        TEXT,
  durations_ms       TEXT    NOT NULL,
  median_duration_ms REAL,
  last_used_at       TEXT,
  paused_at          TEXT,
  paused_until       TEXT,
  pause_reason       TEXT,
  paused_by_type     TEXT    CHECK (paused_by_type IN ('key', 'worker', 'system', 'anonymous')),
  paused_by_id       TEXT,
  version            INTEGER NOT NULL CHECK (version >= 1),
  CHECK (outcomes_at IS NOT NULL OR (successes = 0 AND failures = 0)),
  CHECK ((paused_at IS NULL) = (pause_reason IS NULL) AND (paused_at IS NULL) = (paused_by_type IS NULL)),
  CHECK (paused_at IS NOT NULL OR (paused_until IS NULL AND paused_by_id IS NULL))
) STRICT;

-- Every decision: how many attempts of each tool are running, and when the last of them was started.
CREATE INDEX step_attempts_running_by_tool ON step_attempts (tool_id, started_at) WHERE state = 'running';
