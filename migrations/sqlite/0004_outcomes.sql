-- Backtests: what became of a decision is told by the attempts that it led to. Only attempts that carry out a
-- decision pay for it.
CREATE INDEX step_attempts_by_decision ON step_attempts (route_decision_id, step_attempt_id)
  WHERE route_decision_id IS NOT NULL;
