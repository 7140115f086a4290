import { type Static, Type } from '@sinclair/typebox'
import { count, instant, name } from './common.ts'
import { LIMITS } from './limits.ts'
import { closed, named, nullable, optional, ref } from './named.ts'

export const BacktestRequest = named(
  'BacktestRequest',
  closed(
    {
      created_after: instant('Decisions made at this instant or later.'),
      created_before: instant('Decisions made before this instant.'),
      project_id: optional(name('Decisions about tasks of this project; left out is all of them.')),
    },
    {
      description: 'Which recorded decisions to make again.',
      examples: [{ created_after: '2026-01-05T00:00:00Z', created_before: '2026-01-12T00:00:00Z' }],
    },
  ),
)
export type BacktestRequest = Static<typeof BacktestRequest>

const nobody = (description: string) => nullable(Type.String(), { description })

export const BacktestShift = named(
  'BacktestShift',
  closed(
    {
      from_tool_id: nobody('The tool that was chosen; null if there was none.'),
      to_tool_id: nobody('The tool that would be chosen; null if there would be none.'),
      decisions: count('How many decisions go this way.'),
    },
    { description: 'Decisions that would have another result.' },
  ),
)
export type BacktestShift = Static<typeof BacktestShift>

export const BacktestRule = named(
  'BacktestRule',
  closed(
    {
      rule_id: nullable(Type.String(), {
        description: 'A rule of the tested configuration; null where none decides.',
      }),
      decisions: count('How many decisions it would end.'),
      changed: count('How many of them would have another result.'),
    },
    { description: 'What one rule would do.' },
  ),
)
export type BacktestRule = Static<typeof BacktestRule>

export const BacktestFigure = named(
  'BacktestFigure',
  closed(
    {
      mean: nullable(Type.Number(), { description: 'The mean over what is known; null if nothing is.' }),
      known: count('For how many decisions it is known.'),
      unknown: count('For how many it is not.'),
    },
    { description: 'A mean, and what it rests on.' },
  ),
)
export type BacktestFigure = Static<typeof BacktestFigure>

export const BacktestFigures = named(
  'BacktestFigures',
  closed(
    {
      unroutable: count('Decisions without a tool. They count as unknown below.'),
      success: ref(BacktestFigure, { description: 'The share that succeeds.' }),
      duration_ms: ref(BacktestFigure, { description: 'The duration of an attempt.' }),
      cost_usd_micros: ref(BacktestFigure, { description: 'The cost of an attempt.' }),
    },
    { description: 'How decisions turn out.' },
  ),
)
export type BacktestFigures = Static<typeof BacktestFigures>

const figure = (mean: number | null, known: number, unknown: number) => ({ mean, known, unknown })

export const BacktestResult = named(
  'BacktestResult',
  closed(
    {
      config_version: Type.Integer({ minimum: 1, description: 'The configuration that was tested.' }),
      created_after: Type.String({ description: 'From when, as it was asked.' }),
      created_before: Type.String({ description: 'Until when, as it was asked.' }),
      project_id: nullable(name('The project.'), { description: 'Of which project; null is all.' }),
      decisions: count('How many recorded decisions were made again.'),
      truncated: Type.Boolean({
        description: `Whether the period holds more than the ${LIMITS.backtest_decisions} decisions, of all projects, that one backtest looks at. Then this is about the oldest of them: ask for shorter periods.`,
      }),
      changed: count('How many would have another result.'),
      shifts: Type.Array(ref(BacktestShift), {
        description: 'From which tool to which, most frequent first.',
      }),
      rules: Type.Array(ref(BacktestRule), { description: 'By rule, in the order of the configuration.' }),
      recorded: ref(BacktestFigures, { description: 'How the decisions turned out.' }),
      expected: ref(BacktestFigures, {
        description:
          'How they would: as recorded where the tool stays the same, else as the mean of the new tool over tasks of the same kind in the same decisions.',
      }),
    },
    {
      description: 'What a configuration would have made of recorded decisions.',
      examples: [
        {
          config_version: 2,
          created_after: '2026-01-05T00:00:00Z',
          created_before: '2026-01-12T00:00:00Z',
          project_id: null,
          decisions: 1200,
          truncated: false,
          changed: 90,
          shifts: [{ from_tool_id: 'aider', to_tool_id: 'codex', decisions: 90 }],
          rules: [{ rule_id: 'edits', decisions: 1200, changed: 90 }],
          recorded: {
            unroutable: 0,
            success: figure(0.81, 1150, 50),
            duration_ms: figure(48_000, 1150, 50),
            cost_usd_micros: figure(21_000, 900, 300),
          },
          expected: {
            unroutable: 0,
            success: figure(0.84, 1150, 50),
            duration_ms: figure(52_000, 1150, 50),
            cost_usd_micros: figure(23_500, 900, 300),
          },
        },
      ],
    },
  ),
)
export type BacktestResult = Static<typeof BacktestResult>
