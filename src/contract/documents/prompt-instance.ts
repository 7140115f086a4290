import { Type } from '@sinclair/typebox'
import { closed } from '../named.ts'
import { document } from './document.ts'
import { text, ulid } from './fields.ts'

const sections = closed(
  {
    HEADER: Type.Optional(text('Who is asked, and for what kind of work.')),
    OBJECTIVE: text('What shall be reached.'),
    CONTEXT: Type.Optional(text('What there is to know.')),
    CONSTRAINTS: Type.Optional(text('What must be kept to.')),
    FILES_SCOPE: Type.Optional(text('Which files may be read and changed.')),
    OUTPUT_SPEC: Type.Optional(text('What the answer must look like.')),
    VALIDATION: Type.Optional(text('How the answer will be checked.')),
  },
  { description: 'The prompt, section by section.' },
)

export const PromptInstance = document(
  {
    title: 'Prompt instance',
    description: 'A prompt as a tool was given it, made from a template.',
    example: {
      prompt_instance_id: '01JD8Z6W9ZC4X8Y2Z6A0B4C8D3',
      template_id: 'code-edit',
      target_tool: 'aider',
      kind: 'code_edit',
      sections: {
        OBJECTIVE: 'Reject an empty basket at checkout.',
        FILES_SCOPE: 'Change src/basket.ts only.',
        VALIDATION: 'npm test passes.',
      },
    },
  },
  {
    prompt_instance_id: ulid('The id of the prompt; step attempts name it as `prompt_id`.'),
    template_id: text('The template that it was made from.'),
    target_tool: text('The tool that it is for.'),
    kind: text('The kind of task that it asks for.'),
    sections,
  },
)
