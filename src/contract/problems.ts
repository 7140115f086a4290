interface ProblemKind {
  status: number
  title: string
  /** For the page behind `type`: what it means, and what to do. Markdown's plain subset. */
  help: string
}

/** Every error code that this server answers with. The one home of statuses and titles. */
export const PROBLEMS = {
  validation_failed: {
    status: 400,
    title: 'The request does not fit its schema',
    help: 'A field, parameter or header is missing, unknown, of the wrong type or out of bounds. `errors` names each of them. Nothing is coerced and nothing is ignored: correct the request and send it again.',
  },
  malformed_json: {
    status: 400,
    title: 'The body is not JSON',
    help: 'The body could not be parsed as JSON in UTF-8, or is nested deeper than 64 levels.',
  },
  malformed_request: {
    status: 400,
    title: 'The request is not HTTP',
    help: 'The request line, a header or the path could not be read. Check the client, or what stands between it and this server.',
  },
  invalid_cursor: {
    status: 400,
    title: 'The cursor does not fit the list',
    help: 'A cursor holds only for the filters and the order that it came with. Begin again without `cursor`, or send the filters of the first page.',
  },
  malformed_yaml: {
    status: 400,
    title: 'The body is not plain YAML',
    help: 'The body could not be read as one YAML 1.2 document in UTF-8 that JSON can say too: no tags of your own, no key twice in a mapping, at most 100 aliases, at most 64 levels. `detail` names the line.',
  },
  unauthenticated: {
    status: 401,
    title: 'A valid API key is needed',
    help: 'Send `Authorization: Bearer sbx_…`. Make a key with `signalbox keys new` and put the printed entry into the configuration.',
  },
  forbidden: {
    status: 403,
    title: 'The API key does not allow this',
    help: 'The key is known, but lacks the scope or the project that the operation needs.',
  },
  origin_refused: {
    status: 403,
    title: 'The page that asks is not allowed to',
    help: 'A server without API keys answers no web page but its own documentation. List the origin in `allowed_origins`, or use API keys.',
  },
  not_found: {
    status: 404,
    title: 'There is nothing at this path',
    help: 'Compare the path with the operations in `/docs`.',
  },
  run_not_found: {
    status: 404,
    title: 'There is no such run',
    help: 'No run has this id, or the API key does not see its project.',
  },
  step_attempt_not_found: {
    status: 404,
    title: 'There is no such step attempt',
    help: 'No step attempt has this id, or the API key does not see its project.',
  },
  schema_not_found: {
    status: 404,
    title: 'There is no such schema',
    help: 'No document has this name. `GET /v1/schemas` lists those that there are; write the name with its version: `run_record.v1`.',
  },
  router_config_not_found: {
    status: 404,
    title: 'There is no such router configuration',
    help: 'No version has this number, or none was activated yet. `GET /v1/routing/configs` lists those that there are.',
  },
  route_decision_not_found: {
    status: 404,
    title: 'There is no such route decision',
    help: 'No decision has this id, or the API key does not see its project.',
  },
  tool_not_found: {
    status: 404,
    title: 'There is no such tool',
    help: 'The active router configuration has no app of this name. `GET /v1/tools` lists those that it has.',
  },
  execution_request_not_found: {
    status: 404,
    title: 'There is no such execution request',
    help: 'The id is wrong, or the request belongs to a project that this key may not see. `GET /v1/execution-requests` lists those that it may.',
  },
  worker_not_found: {
    status: 404,
    title: 'There is no such worker',
    help: 'No worker of this name has claimed work yet. `GET /v1/workers` lists those that have.',
  },
  method_not_allowed: {
    status: 405,
    title: 'The path does not take this method',
    help: 'The `Allow` header lists the methods that it takes.',
  },
  request_timeout: {
    status: 408,
    title: 'The request came too slowly',
    help: 'The request was not complete in time. Send it again at once and whole.',
  },
  transition_refused: {
    status: 409,
    title: 'The state does not allow this command',
    help: '`state` is where the resource is, `command` what was asked, `allowed_commands` what would be accepted. The resource is unchanged. To repeat a command safely, send it with an `Idempotency-Key`.',
  },
  run_not_running: {
    status: 409,
    title: 'The run is not in a state for this',
    help: 'Step attempts need a running run; events need an open one (only `note` may follow later). Nothing was written.',
  },
  steps_running: {
    status: 409,
    title: 'Step attempts are still running',
    help: 'A run cannot succeed while a step attempt is running. Complete the attempts in `step_attempt_ids` first.',
  },
  attempt_leased: {
    status: 409,
    title: 'The attempt belongs to an execution request',
    help: 'A worker that claimed the request in `execution_request_id` began this attempt. It is completed with `completeExecutionRequest` or `failExecutionRequest`, and retried by the server itself.',
  },
  lease_lost: {
    status: 409,
    title: 'The lease is lost',
    help: 'The request is no longer yours: the lease ended, was given to another worker, or the request was ended otherwise. End the program and report nothing more; nothing was written.',
  },
  requests_open: {
    status: 409,
    title: 'Execution requests have not ended',
    help: 'A run cannot succeed while an execution request of it is blocked, queued or claimed. Wait for those in `execution_request_ids`, or cancel them.',
  },
  sequence_taken: {
    status: 409,
    title: 'The sequence is taken',
    help: 'The run has a step at this `sequence`, or needs its last places for the execution requests that are open in it. Leave `sequence` out to get the next free one, or retry the attempt that is there.',
  },
  already_retried: {
    status: 409,
    title: 'The step attempt was retried already',
    help: 'Only the newest attempt of a step can be retried: the one in `newest_step_attempt_id`.',
  },
  no_active_router_config: {
    status: 409,
    title: 'No router configuration is active',
    help: 'Nothing can be routed before a configuration was activated: create one at `/v1/routing/configs`, activate it, and send the request again.',
  },
  precondition_failed: {
    status: 412,
    title: 'The resource has changed',
    help: 'Its version is no longer the one in `If-Match`; the `ETag` of this answer has the current one. Read it again and decide anew.',
  },
  body_too_large: {
    status: 413,
    title: 'The body is too large',
    help: 'A body has at most 1 MiB. Store large things elsewhere and record where.',
  },
  unsupported_media_type: {
    status: 415,
    title: 'The operation does not take this media type',
    help: 'Send `Content-Type: application/json` in UTF-8, without content coding. `PATCH` also takes `application/merge-patch+json`.',
  },
  expectation_failed: {
    status: 417,
    title: 'The expectation cannot be met',
    help: 'Only `Expect: 100-continue` is known.',
  },
  misdirected_request: {
    status: 421,
    title: 'This server does not answer to that name',
    help: 'A server without API keys answers only to localhost, 127.0.0.1 and [::1], so that no web page can reach it under a name of its own. List the name in `allowed_hosts`, or use API keys.',
  },
  idempotency_key_reused: {
    status: 422,
    title: 'The idempotency key was used for another payload',
    help: 'The same key came with a different body before. Use a new key for a new request, and the same body for a repeat.',
  },
  reserved_kind: {
    status: 422,
    title: 'The server alone writes this kind of event',
    help: 'Kinds that begin with `run_`, `step_`, `task_`, `request_`, `lease_`, `circuit_`, `config_`, `tool_` (but for `tool_call_…`), `webhook_`, `audit_` or `event_` tell of changes that the server made.',
  },
  exit_code_contradicts: {
    status: 422,
    title: 'Success has the exit code 0',
    help: 'What succeeded cannot have ended with another exit code than 0. Report it as failed, or correct the code.',
  },
  router_config_invalid: {
    status: 422,
    title: 'The router configuration makes no sense',
    help: 'Its form is right, but what it says cannot be meant: a rule that names an app which is not there, a number out of range, a circle. `errors` names every place.',
  },
  no_routable_tool: {
    status: 422,
    title: 'No tool can do the task',
    help: '`candidates` says of each tool why it was passed over, `rules` what each rule did; of a submission of tasks, `errors` names each task that no tool could ever do, with the reasons. Nothing was stored. `POST /v1/routing/explain` answers what would have to change.',
  },
  plan_invalid: {
    status: 422,
    title: 'The plan makes no sense',
    help: 'Each task has the right form, but together they cannot be meant: an unknown or a second `task_id`, a task that needs itself, a circle, a scope that cannot be kept to, too much of something. `errors` names every place; a circle is written out as `a → b → a`. Nothing was stored.',
  },
  resource_scope_invalid: {
    status: 422,
    title: 'The resource scope cannot be kept to',
    help: 'The globs of a scope are relative to the project and stay inside it. `errors` names those that do not, and those that cannot be held against paths.',
  },
  until_passed: {
    status: 422,
    title: 'The instant has passed',
    help: 'A pause cannot end in the past. Leave `until` out for one that ends when the tool is resumed.',
  },
  unknown_reference: {
    status: 422,
    title: 'A referenced thing does not exist',
    help: 'A field names something that is not there, or not where it would have to be. `errors` names the field.',
  },
  window_too_large: {
    status: 422,
    title: 'The window holds too much',
    help: 'Statistics of part of a window would be wrong, so there are none: ask for a shorter one. What is read counts, of all projects and tools, whatever the filters.',
  },
  precondition_required: {
    status: 428,
    title: 'If-Match is needed',
    help: 'A change of what everybody shares must name the version that it is based on: send `If-Match` with the `ETag` of this answer, after you have looked at what it stands for.',
  },
  headers_too_large: {
    status: 431,
    title: 'The headers are too large',
    help: 'Path and headers together have at most 16 KiB.',
  },
  internal_error: {
    status: 500,
    title: 'Something went wrong in the server',
    help: 'This is a fault of the server. Nothing was written. Report it with `http_request_id`.',
  },
  draining: {
    status: 503,
    title: 'The server is stopping',
    help: 'It finishes what it has begun and takes nothing new. Send the request again after `Retry-After` seconds.',
  },
  too_many_streams: {
    status: 503,
    title: 'Too many event streams are open',
    help: 'The server has as many open streams as its setting `max_streams` allows. Try again after `Retry-After`, or read `GET /v1/events?after=` from time to time.',
  },
  overloaded: {
    status: 503,
    title: 'Too much is waiting',
    help: 'Too many writes are waiting, or as many backtests or statistics are running as may. Nothing was written. Send the request again after `Retry-After` seconds, with the same `Idempotency-Key`.',
  },
  store_unavailable: {
    status: 503,
    title: 'The store does not answer',
    help: 'Its file is locked by another program, or the disk fails. Nothing was acknowledged. Send the request again after `Retry-After` seconds, with the same `Idempotency-Key`.',
  },
  disk_full: {
    status: 507,
    title: 'The disk is full',
    help: 'Nothing was written. Make room; the server goes on without a restart.',
  },
} as const satisfies Record<string, ProblemKind>

export type ProblemCode = keyof typeof PROBLEMS

/** The path of the page that explains a code; the `type` of its problems. */
export const problemType = (code: ProblemCode): string => `/problems/${code.replaceAll('_', '-')}`
