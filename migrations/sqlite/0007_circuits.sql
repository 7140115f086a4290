-- The circuit of each tool stands in the tool's row: what ends an attempt reads and writes that row anyway. The window
-- holds counts for the last seconds, and only a closed circuit counts; `circuit_probe` is the attempt that a half-open
-- one has let through. `circuit_open_seconds` is how long it opens by itself, and doubles while probes fail.

ALTER TABLE tools ADD COLUMN circuit_state TEXT NOT NULL DEFAULT 'closed'
  CHECK (circuit_state IN ('closed', 'open', 'half_open'));
ALTER TABLE tools ADD COLUMN circuit_reason TEXT
  CHECK ((circuit_reason IS NULL) = (circuit_state = 'closed'));
ALTER TABLE tools ADD COLUMN circuit_opened_at TEXT
  CHECK ((circuit_opened_at IS NULL) = (circuit_state = 'closed'));
ALTER TABLE tools ADD COLUMN circuit_open_until TEXT
  CHECK ((circuit_open_until IS NULL) = (circuit_state = 'closed') AND circuit_open_until >= circuit_opened_at);
ALTER TABLE tools ADD COLUMN circuit_open_seconds INTEGER
  CHECK ((circuit_open_seconds IS NULL) = (circuit_state = 'closed') AND circuit_open_seconds >= 1);
ALTER TABLE tools ADD COLUMN circuit_failures_in_row INTEGER NOT NULL DEFAULT 0
  CHECK (circuit_failures_in_row >= 0);
ALTER TABLE tools ADD COLUMN circuit_window TEXT NOT NULL DEFAULT '[]'
  CHECK (circuit_window = '[]' OR circuit_state = 'closed');
ALTER TABLE tools ADD COLUMN circuit_probe TEXT REFERENCES step_attempts (step_attempt_id)
  CHECK (circuit_probe IS NULL OR circuit_state = 'half_open');

-- The sweep: which circuit lets an attempt through next.
CREATE INDEX tools_open ON tools (circuit_open_until) WHERE circuit_state = 'open';
