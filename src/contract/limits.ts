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
  /** Rows that a filtered list looks at for one page; then it answers a short page with a cursor. */
  scanned_rows: 5_000,
} as const

export const LABEL_KEY_PATTERN = '^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$'
