-- Fallbacks: how often the present tool of an execution request has tried, and which decisions belong to a request. They
-- form one list: the first has none before it, each other one names the last, and a request is never without its own.

ALTER TABLE execution_requests ADD COLUMN tool_attempts INTEGER NOT NULL DEFAULT 0
  CHECK (tool_attempts >= 0 AND tool_attempts <= attempts);
UPDATE execution_requests SET tool_attempts = attempts;

-- A request and its first decision name each other, and are written in one transaction.
ALTER TABLE route_decisions ADD COLUMN execution_request_id TEXT
  REFERENCES execution_requests (execution_request_id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE route_decisions ADD COLUMN previous_decision_id TEXT REFERENCES route_decisions (route_decision_id)
  CHECK (previous_decision_id IS NULL OR execution_request_id IS NOT NULL);

DROP TRIGGER route_decisions_are_never_changed;
UPDATE route_decisions SET execution_request_id = requests.execution_request_id
  FROM execution_requests AS requests
  WHERE requests.route_decision_id = route_decisions.route_decision_id;
CREATE TRIGGER route_decisions_are_never_changed BEFORE UPDATE ON route_decisions
BEGIN
  SELECT RAISE(ABORT, 'route decisions are never changed');
END;

-- getExecutionRequest, and the last decision about a request, in the order in which they were made.
CREATE INDEX route_decisions_by_request ON route_decisions (execution_request_id)
  WHERE execution_request_id IS NOT NULL;

CREATE TRIGGER route_decisions_of_a_request_are_one_list BEFORE INSERT ON route_decisions
WHEN NEW.execution_request_id IS NOT NULL AND NEW.previous_decision_id IS NOT (
  SELECT route_decision_id FROM route_decisions
  WHERE execution_request_id = NEW.execution_request_id ORDER BY rowid DESC LIMIT 1
)
BEGIN
  SELECT RAISE(ABORT, 'a decision about an execution request names the one before it');
END;
