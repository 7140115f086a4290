import { type Static, Type } from '@sinclair/typebox'
import { Ulid, name } from './common.ts'
import { closed, named, ref } from './named.ts'

export const RequestValidator = named(
  'RequestValidator',
  closed(
    {
      tool_id: name('The tool that looks at the work.'),
      required: Type.Boolean({
        description:
          'Whether the work succeeds only if this one does; false of an app of the kind `analyzer`, which only reports.',
      }),
    },
    { description: 'Who looks at the work of an execution request once it is done.' },
  ),
)
export type RequestValidator = Static<typeof RequestValidator>

export const Assignment = named(
  'Assignment',
  closed(
    {
      route_decision_id: ref(Ulid, { description: 'The decision that chose the tool.' }),
      tool_id: name('The tool.'),
      command: Type.String({ description: 'Its program, by the configuration. For information.' }),
      args: Type.Array(Type.String(), { description: 'The arguments of its program. For information.' }),
      validators: Type.Array(ref(RequestValidator), {
        description: 'Who looks at the work once it is done: `validate_with` of the decision.',
      }),
    },
    { description: 'Who is to do the work. It may change during the life of a request.' },
  ),
)
export type Assignment = Static<typeof Assignment>
