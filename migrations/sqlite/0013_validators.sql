-- Validators: execution requests that look at the work of another one. While they do, that one is blocked and keeps its
-- tool, which is how it differs from what waits for other tasks.

-- Who looks at the work of the present tool, [{tool_id, required}]; null is nobody. What was assigned before is not
-- validated: nobody was told that it would be.
ALTER TABLE execution_requests ADD COLUMN validators TEXT CHECK (validators IS NULL OR tool_id IS NOT NULL);

-- The work that a validator looks at, the attempt that did it, and whether the work has to wait for it. A validator is no
-- task of a plan, and has no validators itself.
ALTER TABLE execution_requests ADD COLUMN validates_execution_request_id TEXT
  REFERENCES execution_requests (execution_request_id)
  CHECK (validates_execution_request_id IS NULL OR (plan IS NULL AND validators IS NULL));
ALTER TABLE execution_requests ADD COLUMN validates_step_attempt_id TEXT
  REFERENCES step_attempts (step_attempt_id)
  CHECK ((validates_step_attempt_id IS NULL) = (validates_execution_request_id IS NULL));
ALTER TABLE execution_requests ADD COLUMN validates_required INTEGER
  CHECK (validates_required IN (0, 1))
  CHECK ((validates_required IS NULL) = (validates_execution_request_id IS NULL));

-- {class, code, message, execution_request_id} of the validator that found fault with the last attempt.
ALTER TABLE execution_requests ADD COLUMN validation_error TEXT;

-- The end of a validator, and getExecutionRequest: who looks at the same work.
CREATE INDEX execution_requests_by_validated ON execution_requests (validates_execution_request_id, execution_request_id)
  WHERE validates_execution_request_id IS NOT NULL;

-- The sweep: what needs nothing more, and has no tool. What has one waits for its validators.
DROP INDEX execution_requests_stranded;
CREATE INDEX execution_requests_stranded ON execution_requests (created_at)
  WHERE state = 'blocked' AND waiting_for = 0 AND tool_id IS NULL;

DROP TRIGGER execution_requests_keep_their_document;
CREATE TRIGGER execution_requests_keep_their_document
BEFORE UPDATE OF execution_request_id, run_id, project_id, document, content_hash, created_at, task_id, plan,
  validates_execution_request_id, validates_step_attempt_id, validates_required
ON execution_requests
WHEN NOT (
  NEW.execution_request_id IS OLD.execution_request_id AND NEW.run_id IS OLD.run_id
  AND NEW.project_id IS OLD.project_id AND NEW.document IS OLD.document
  AND NEW.content_hash IS OLD.content_hash AND NEW.created_at IS OLD.created_at
  AND NEW.task_id IS OLD.task_id AND NEW.plan IS OLD.plan
  AND NEW.validates_execution_request_id IS OLD.validates_execution_request_id
  AND NEW.validates_step_attempt_id IS OLD.validates_step_attempt_id
  AND NEW.validates_required IS OLD.validates_required
)
BEGIN
  SELECT RAISE(ABORT, 'the document of an execution request is never changed');
END;
