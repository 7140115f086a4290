-- Plans: tasks that are submitted together and need each other. A task is an execution request; what it needs is kept
-- with it, and a request is blocked for as long as something of that has not succeeded.

-- The client's name for the task, from the document. `plan` is {name, level, needs} of a task that was submitted with
-- others, and never changes. `waiting_for` counts those of its needs that have not succeeded yet: whoever ends one of
-- them lowers it, so that nobody has to count.
ALTER TABLE execution_requests ADD COLUMN task_id TEXT;
ALTER TABLE execution_requests ADD COLUMN plan TEXT CHECK (plan IS NULL OR task_id IS NOT NULL);
ALTER TABLE execution_requests ADD COLUMN waiting_for INTEGER NOT NULL DEFAULT 0
  CHECK (waiting_for >= 0 AND (waiting_for = 0 OR state IN ('blocked', 'failed', 'canceled')));

UPDATE execution_requests SET task_id = document ->> '$.task_id';

-- submitTasks: a name is that of one task of a run. getRunPlan: the tasks of a run.
CREATE UNIQUE INDEX execution_requests_by_task ON execution_requests (run_id, task_id) WHERE plan IS NOT NULL;
-- The sweep: what needs nothing more, and has no tool.
CREATE INDEX execution_requests_stranded ON execution_requests (created_at)
  WHERE state = 'blocked' AND waiting_for = 0;

-- Who needs whom. Deferred, because a task may stand before what it needs.
CREATE TABLE task_needs (
  run_id               TEXT NOT NULL REFERENCES runs (run_id),
  execution_request_id TEXT NOT NULL REFERENCES execution_requests (execution_request_id),
  needs_id             TEXT NOT NULL REFERENCES execution_requests (execution_request_id) DEFERRABLE INITIALLY DEFERRED,
  PRIMARY KEY (run_id, execution_request_id, needs_id),
  CHECK (needs_id <> execution_request_id)
) STRICT, WITHOUT ROWID;

-- What the end of a request moves: those that need it, and those that need them.
CREATE INDEX task_needs_by_need ON task_needs (needs_id, execution_request_id);

-- The rows are `plan.needs` the other way round: made with it, so that the two cannot differ.
CREATE TRIGGER execution_requests_have_needs AFTER INSERT ON execution_requests WHEN NEW.plan IS NOT NULL
BEGIN
  INSERT INTO task_needs (run_id, execution_request_id, needs_id)
    SELECT NEW.run_id, NEW.execution_request_id, value FROM json_each(NEW.plan, '$.needs');
END;

CREATE TRIGGER task_needs_are_never_changed BEFORE UPDATE ON task_needs
BEGIN
  SELECT RAISE(ABORT, 'what a task needs is never changed');
END;

CREATE TRIGGER task_needs_are_never_deleted BEFORE DELETE ON task_needs
BEGIN
  SELECT RAISE(ABORT, 'what a task needs is never changed');
END;

DROP TRIGGER execution_requests_keep_their_document;
CREATE TRIGGER execution_requests_keep_their_document BEFORE UPDATE ON execution_requests
WHEN NOT (
  NEW.execution_request_id IS OLD.execution_request_id AND NEW.run_id IS OLD.run_id
  AND NEW.project_id IS OLD.project_id AND NEW.document IS OLD.document
  AND NEW.content_hash IS OLD.content_hash AND NEW.created_at IS OLD.created_at
  AND NEW.task_id IS OLD.task_id AND NEW.plan IS OLD.plan
)
BEGIN
  SELECT RAISE(ABORT, 'the document of an execution request is never changed');
END;
