import { Type } from '@sinclair/typebox'
import { closed, nullable } from '../named.ts'
import { document } from './document.ts'
import { count, dateTime, distinctFilled, filled, oneOf, text, ulid } from './fields.ts'

const origin = closed(
  {
    execution_request_id: ulid('The execution request that asked for it.'),
    prompt_id: Type.Optional(nullable(ulid('The prompt instance that it answers.'))),
    phase_id: Type.Optional(nullable(text('The phase that it was made in.'))),
    workstream_id: Type.Optional(nullable(text('The workstream that it was made in.'))),
    tool_id: filled('The tool that made it.'),
    tool_run_id: Type.Optional(nullable(text("The tool's own name for that invocation."))),
    created_at: dateTime('When it was made.'),
  },
  { description: 'Where the patch came from.' },
)

const scope = closed(
  {
    files_touched: Type.Optional(
      distinctFilled('Files that it changes, relative to the repository, none twice.'),
    ),
    line_insertions: Type.Optional(count('Lines that it adds.')),
    line_deletions: Type.Optional(count('Lines that it removes.')),
    hunks: Type.Optional(count('Places that it changes.')),
  },
  { description: 'How much the patch changes.' },
)

export const PatchArtifact = document(
  {
    title: 'Patch artifact',
    description: 'A change of files that a tool made, as text that can be reviewed and applied.',
    example: {
      patch_id: '01JD8Z6X1AC4X8Y2Z6A0B4C8D2',
      format: 'unified_diff',
      target_repo: 'git@example.com:shop/shop.git',
      base_ref: 'main',
      base_commit: '9fceb02d0ae598e95dc970b74767f19372d61af8',
      origin: {
        execution_request_id: '01JD8Z6V5NC4X8Y2Z6A0B4C8D2',
        tool_id: 'aider',
        created_at: '2026-01-05T09:31:09Z',
      },
      summary: 'Reject an empty basket.',
      scope: { files_touched: ['src/basket.ts'], line_insertions: 1, line_deletions: 1, hunks: 1 },
      diff_text:
        '--- a/src/basket.ts\n+++ b/src/basket.ts\n@@ -7 +7 @@\n-  return true\n+  return items.length > 0\n',
    },
  },
  {
    patch_id: ulid('The id of the patch.'),
    format: oneOf(['unified_diff'], 'How `diff_text` is written.'),
    target_repo: filled('The repository that it is for.'),
    base_ref: Type.Optional(nullable(text('The branch or tag that it was made on.'))),
    base_commit: Type.Optional(nullable(text('The commit that it was made on.'))),
    origin,
    summary: Type.Optional(Type.String({ maxLength: 512, description: 'What it changes, in a few words.' })),
    scope: Type.Optional(scope),
    diff_text: filled('The change itself.'),
  },
)
