import { type Static, Type } from '@sinclair/typebox'
import { Ulid, count, name } from './common.ts'
import { closed, named, ref } from './named.ts'

/** What a plan says of a task, beside what its execution request is asked to do. */
export const PlanPlace = named(
  'PlanPlace',
  closed(
    {
      name: name('What people call the task.'),
      level: count('0 if it needs nothing; else one more than the highest level of what it needs.'),
      needs: Type.Array(ref(Ulid), {
        description: 'The execution requests that must succeed first, in the order of `depends_on`.',
      }),
    },
    {
      description: 'The place of a task in the plan of its run. It never changes.',
      examples: [{ name: 'Run the tests', level: 1, needs: ['01JD8Z6V5NC4X8Y2Z6A0B4C8D2'] }],
    },
  ),
)
export type PlanPlace = Static<typeof PlanPlace>
