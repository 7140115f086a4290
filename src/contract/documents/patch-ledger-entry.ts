import { Type } from '@sinclair/typebox'
import { closed, nullable } from '../named.ts'
import { document } from './document.ts'
import { count, dateTime, distinct, filled, flag, oneOf, open, strings, text, ulid } from './fields.ts'

const pastState = open(
  {
    state: text('A state that the patch was in.'),
    at: dateTime('When it got there.'),
    reason: Type.Optional(text('Why, in words.')),
  },
  'One step of what happened to the patch.',
)

const validation = closed(
  {
    format_ok: flag('Whether the patch can be read.'),
    scope_ok: flag('Whether it stays within what its request may touch.'),
    constraints_ok: flag('Whether it keeps the constraints of its request.'),
    tests_ran: Type.Optional(flag('Whether the tests were run with it.')),
    tests_passed: Type.Optional(flag('Whether they passed.')),
    validation_errors: Type.Optional(strings('What is wrong with it, in words.')),
  },
  { description: 'What was found when the patch was checked.' },
)

const apply = closed(
  {
    attempts: Type.Optional(count('How often it was tried.')),
    last_attempt_at: Type.Optional(dateTime('When it was last tried.')),
    last_error_code: Type.Optional(text('The code of the last failure.')),
    last_error_message: Type.Optional(text('The last failure in words.')),
    workspace_path: Type.Optional(text('The working copy that it was applied to.')),
    applied_files: Type.Optional(distinct('Files that it changed there, none twice.')),
  },
  { description: 'What came of applying the patch.' },
)

const quarantine = closed(
  {
    is_quarantined: Type.Optional(flag('Whether the patch is set aside.')),
    quarantine_reason: Type.Optional(text('Why, in words.')),
    quarantine_path: Type.Optional(text('Where it is kept.')),
    quarantined_at: Type.Optional(dateTime('Since when.')),
  },
  { description: 'Whether the patch is set aside, so that nobody builds on it.' },
)

const relations = closed(
  {
    replaces_patch_id: Type.Optional(nullable(ulid('The patch that this one takes the place of.'))),
    rollback_of_patch_id: Type.Optional(nullable(ulid('The patch that this one takes back.'))),
    chain_id: Type.Optional(nullable(text('What patches that follow from each other have in common.'))),
  },
  { description: 'How the patch relates to others.' },
)

export const PatchLedgerEntry = document(
  {
    title: 'Patch ledger entry',
    description: 'What became of a patch, from its making to its commit or its end.',
    example: {
      ledger_id: '01JD8Z6X4TC4X8Y2Z6A0B4C8D2',
      patch_id: '01JD8Z6X1AC4X8Y2Z6A0B4C8D2',
      project_id: 'shop',
      phase_id: 'build',
      state: 'applied',
      state_history: [
        { state: 'created', at: '2026-01-05T09:31:09Z' },
        { state: 'validated', at: '2026-01-05T09:31:12Z', reason: 'all checks passed' },
      ],
      validation: { format_ok: true, scope_ok: true, constraints_ok: true, validation_errors: [] },
      apply: { attempts: 1, last_attempt_at: '2026-01-05T09:31:20Z', applied_files: ['src/basket.ts'] },
      quarantine: { is_quarantined: false },
      relations: { replaces_patch_id: null },
    },
  },
  {
    ledger_id: ulid('The id of the entry.'),
    patch_id: ulid('The patch that it is about.'),
    project_id: filled('The project that the patch belongs to.'),
    phase_id: Type.Optional(nullable(text('The phase that the patch was made in.'))),
    workstream_id: Type.Optional(nullable(text('The workstream that the patch was made in.'))),
    execution_request_id: Type.Optional(nullable(ulid('The execution request that asked for the patch.'))),
    state: oneOf(
      [
        'created',
        'validated',
        'queued',
        'applied',
        'apply_failed',
        'verified',
        'committed',
        'rolled_back',
        'quarantined',
        'dropped',
      ],
      'Where the patch is in its life.',
    ),
    state_history: Type.Optional(
      Type.Array(pastState, { description: 'The states that the patch was in, oldest first.' }),
    ),
    validation,
    apply: Type.Optional(apply),
    quarantine: Type.Optional(quarantine),
    relations: Type.Optional(relations),
  },
)
