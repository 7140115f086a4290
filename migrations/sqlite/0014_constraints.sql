-- The same constraints, said in a way that costs nothing. For `x IN (...)` with more than two values SQLite fills a table
-- with them each time that a statement checks it: 1.5 to 2.5 us, four times for a new run. Compared one by one they cost
-- nothing that could be measured.
--
-- No row changes, so the text of the schema is changed in place, as section 7 of SQLite's page on ALTER TABLE has it for
-- constraints: to build these tables anew would copy all that a store holds. RESET has this connection read the schema
-- again; others do when its version moves, which the trigger that is made anew sees to.

PRAGMA writable_schema = ON;

UPDATE sqlite_schema SET sql =
  replace(replace(replace(sql,
    'state IN (''pending'', ''running'', ''succeeded'', ''failed'', ''quarantined'', ''canceled'')',
    '(state = ''pending'' OR state = ''running'' OR state = ''succeeded'' OR state = ''failed'' OR state = ''quarantined'' OR state = ''canceled'')'),
    'trigger_type IN (''manual'', ''ci'', ''error_pipeline'', ''scheduled'', ''other'')',
    '(trigger_type = ''manual'' OR trigger_type = ''ci'' OR trigger_type = ''error_pipeline'' OR trigger_type = ''scheduled'' OR trigger_type = ''other'')'),
    'on_failure IN (''fail'', ''quarantine'', ''continue'')',
    '(on_failure = ''fail'' OR on_failure = ''quarantine'' OR on_failure = ''continue'')')
  WHERE type = 'table' AND name = 'runs';

UPDATE sqlite_schema SET sql =
  replace(sql,
    'state IN (''running'', ''succeeded'', ''failed'', ''canceled'')',
    '(state = ''running'' OR state = ''succeeded'' OR state = ''failed'' OR state = ''canceled'')')
  WHERE type = 'table' AND name = 'step_attempts';

UPDATE sqlite_schema SET sql =
  replace(sql,
    'actor_type IN (''key'', ''worker'', ''system'', ''anonymous'')',
    '(actor_type = ''key'' OR actor_type = ''worker'' OR actor_type = ''system'' OR actor_type = ''anonymous'')')
  WHERE type = 'table' AND name = 'events';

UPDATE sqlite_schema SET sql =
  replace(replace(sql,
    'paused_by_type IN (''key'', ''worker'', ''system'', ''anonymous'')',
    '(paused_by_type = ''key'' OR paused_by_type = ''worker'' OR paused_by_type = ''system'' OR paused_by_type = ''anonymous'')'),
    'circuit_state IN (''closed'', ''open'', ''half_open'')',
    '(circuit_state = ''closed'' OR circuit_state = ''open'' OR circuit_state = ''half_open'')')
  WHERE type = 'table' AND name = 'tools';

UPDATE sqlite_schema SET sql =
  replace(replace(replace(sql,
    'state IN (''blocked'', ''queued'', ''claimed'', ''succeeded'', ''failed'', ''canceled'')',
    '(state = ''blocked'' OR state = ''queued'' OR state = ''claimed'' OR state = ''succeeded'' OR state = ''failed'' OR state = ''canceled'')'),
    'state IN (''blocked'', ''queued'', ''claimed'')',
    '(state = ''blocked'' OR state = ''queued'' OR state = ''claimed'')'),
    'state IN (''blocked'', ''failed'', ''canceled'')',
    '(state = ''blocked'' OR state = ''failed'' OR state = ''canceled'')')
  WHERE type = 'table' AND name = 'execution_requests';

PRAGMA writable_schema = RESET;

DROP TRIGGER runs_are_never_deleted;
CREATE TRIGGER runs_are_never_deleted BEFORE DELETE ON runs
BEGIN
  SELECT RAISE(ABORT, 'runs are never deleted');
END;
