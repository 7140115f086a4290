-- What a claim and a completion pay for beside their own work.

-- Named by its columns, the guard costs nothing to the moves of the machine, which write none of them: a trigger for
-- every UPDATE has SQLite read the whole row, with its document, twice more.
DROP TRIGGER execution_requests_keep_their_document;
CREATE TRIGGER execution_requests_keep_their_document
BEFORE UPDATE OF execution_request_id, run_id, project_id, document, content_hash, created_at, task_id, plan
ON execution_requests
WHEN NOT (
  NEW.execution_request_id IS OLD.execution_request_id AND NEW.run_id IS OLD.run_id
  AND NEW.project_id IS OLD.project_id AND NEW.document IS OLD.document
  AND NEW.content_hash IS OLD.content_hash AND NEW.created_at IS OLD.created_at
  AND NEW.task_id IS OLD.task_id AND NEW.plan IS OLD.plan
)
BEGIN
  SELECT RAISE(ABORT, 'the document of an execution request is never changed');
END;

-- What can be claimed from its first moment on is never waited for.
DROP INDEX execution_requests_available;
CREATE INDEX execution_requests_available ON execution_requests (available_at)
  WHERE state = 'queued' AND available_at > created_at;

-- What has not ended, by a column that a claim does not write: then the claim does not move the entry.
DROP INDEX execution_requests_open;
CREATE INDEX execution_requests_open ON execution_requests (run_id, execution_request_id) WHERE ended_at IS NULL;

-- Whether any circuit may move by a success or a claim.
CREATE INDEX tools_by_circuit ON tools (circuit_state);
