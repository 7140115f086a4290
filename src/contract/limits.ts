/**
 * Every bound on what a client can send or ask for, in one place. Above one of them the answer is 400
 * (413 for the body as a whole), and nothing is written.
 */
export const LIMITS = {
  /** Names given from outside: project, phase, workstream, tool … Characters. */
  name_length: 200,
  labels: 64,
  label_value_length: 256,
  /** UTF-8 bytes of the JSON text of `metadata` and of a client's event payload. */
  metadata_bytes: 65_536,
  payload_bytes: 65_536,
  /** UTF-8 bytes. */
  input_prompt_bytes: 262_144,
  error_log_bytes: 65_536,
  tail_bytes: 65_536,
  /** What a heartbeat may say of a running attempt, and how often streams are told of it. */
  live_output_bytes: 4_096,
  progress_message_bytes: 1_024,
  progress_every_ms: 1_000,
  error_message_bytes: 4_096,
  path_bytes: 4_096,
  /** Characters. */
  reason_length: 1_000,
  patch_ids: 1_000,
  sequence: 1_000_000,
  /** Where JSON numbers stop being exact integers (RFC 8259 §6). */
  integer: Number.MAX_SAFE_INTEGER,
  body_bytes: 1_048_576,
  json_depth: 64,
  /** Of a YAML body; the parser weighs an alias by the aliases inside what it stands for. */
  yaml_aliases: 100,
  page_default: 50,
  page_max: 500,
  cursor_length: 512,
  /** How often one filter may be repeated. */
  filter_values: 50,
  idempotency_key_length: 255,
  request_id_length: 128,
  /** How many ids a refusal lists; beside them stands the full count. */
  listed_ids: 20,
  /** How many faults one answer names. */
  listed_faults: 50,
  /** How many faults of a document are named, and how many characters their places may have together. */
  document_faults: 1_000,
  document_faults_length: 262_144,
  /** Characters that the pointers to all values of a document may have together. */
  document_places_length: 33_554_432,
  /** Bytes of a page that a stream reads from the table: it ends with the event that reaches them. */
  feed_bytes: 65_536,
  /** Bytes that may wait in the server for the reader of a stream, or one event. */
  stream_bytes: 262_144,
  /** Rows that a filtered list looks at for one page; then it answers a short page with a cursor. */
  scanned_rows: 5_000,
  /** Names in a task's `allowed_tools` or `excluded_tools`. */
  task_tools: 200,
  task_files: 1_000,
  task_data_bytes: 65_536,
  /** Globs in one list of a resource scope, and the characters of one. */
  scope_patterns: 1_000,
  scope_pattern_length: 1_024,
  /** Of one glob: `**`, and `{`; of one part of it between slashes: `*`. */
  scope_globstars: 2,
  scope_braces: 2,
  scope_stars: 2,
  lines_changed: 10_000_000,
  attempts: 100,
  /** Seven days for one attempt, thirty for a request as a whole. */
  timeout_seconds: 604_800,
  total_timeout_seconds: 2_592_000,
  /** Of one claim: items, tools that a worker names, and seconds of a lease. */
  claim_items: 32,
  claim_tools: 200,
  lease_seconds_min: 5,
  lease_seconds_max: 3_600,
  lease_seconds: 60,
  /** Seconds that a long poll may wait. */
  wait_seconds: 60,
  /** How many workers may reject a request; one more, and it fails. */
  rejects: 20,
  retry_after_ms: 86_400_000,
  /** After how many seconds without any change a run is stalled, unless a query says it; and the most it may say. */
  stalled_seconds: 600,
  stalled_seconds_max: 31_536_000,
  /** Tools that the summary of a run lists. */
  summary_tools: 1_000,
  /** How far requests ahead of another are counted. */
  counted_ahead: 1_000,
  /**
   * Decisions, and attempts, that one answer tells of a request: ten tools with a hundred attempts each. There may be
   * more, as giving it back costs nothing.
   */
  story_entries: 1_000,
  /** Requests that one sweep ends, and that one step of it looks at for each circuit that has opened. */
  sweep_batch: 200,
  /** Tasks of one submission, and what they need together; the same of all submissions of a run. */
  plan_tasks: 1_000,
  plan_needs: 20_000,
  run_tasks: 10_000,
  run_needs: 50_000,
  /** Of the tasks of one submission, once the defaults are merged into each of them: characters as JSON. */
  plan_length: 4_194_304,
  plan_warnings: 1_000,
  /** Of a router configuration. */
  apps: 200,
  rules: 500,
  max_parallel: 1_000,
  weight: 1_000_000,
  config_warnings: 1_000,
  /** Of the circuit of an app: failures in a row, attempts of a window, and seconds. */
  circuit_failures: 1_000,
  circuit_attempts: 10_000,
  circuit_window_seconds: 3_600,
  circuit_open_seconds: 86_400,
  /** Tools that metrics tell apart; what comes later is counted together. */
  metric_tools: 500,
  /** Recorded decisions that one backtest looks at; and how many backtests run at once. */
  backtest_decisions: 500_000,
  backtests: 2,
  /** Seconds that statistics are about unless a query says it, and the most it may say. */
  statistics_seconds: 86_400,
  statistics_seconds_max: 31_622_400,
  /** Runs, execution requests and step attempts of a window, each; and how many statistics are computed at once. */
  statistics_rows: 500_000,
  statistics: 2,
  /** Parts that a window is cut into; where each group has its own, their parts and how many groups are listed. */
  statistics_buckets: 500,
  statistics_group_buckets: 50,
  statistics_groups: 50,
  /** Names that are told apart while the groups with most are sought. */
  statistics_names: 1_000,
} as const

export const LABEL_KEY_PATTERN = '^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$'
