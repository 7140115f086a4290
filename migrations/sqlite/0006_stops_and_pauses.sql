-- What outlives a wait: why a claimed request is to stop, and the instants at which pauses end by themselves.

ALTER TABLE execution_requests ADD COLUMN cancel_reason TEXT;

-- The next pause that ends, for the timer that wakes those who wait for work.
CREATE INDEX tools_paused ON tools (paused_until) WHERE paused_until IS NOT NULL;
