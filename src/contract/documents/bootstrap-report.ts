import { Type } from '@sinclair/typebox'
import { document } from './document.ts'
import { count, dateTime, flag, integer, oneOf, open, strings, text } from './fields.ts'

const discoverySummary = open(
  {
    languages: Type.Optional(text('The languages, in words.')),
    frameworks: Type.Optional(strings('The frameworks.')),
    version_control: Type.Optional(text('What keeps the history.')),
    ci_cd: Type.Optional(text('What builds and delivers.')),
  },
  'What was found, in short.',
)

const artifact = open(
  {
    path: text('Where it is, relative to the project.'),
    type: Type.Optional(text('What it is.')),
    status: oneOf(['created', 'validated', 'failed'], 'What came of it.'),
  },
  'A file that was made.',
)

const configuration = open(
  {
    patch_only_mode: Type.Optional(flag('Whether files may be changed by patches only.')),
    test_requirement: Type.Optional(text('What is asked of the tests, in words.')),
    max_lines_per_patch: Type.Optional(integer('The most lines that one patch may change.')),
    available_tools: Type.Optional(strings('The tools that can be used.')),
  },
  'What the project is set up with.',
)

const validationResults = open(
  {
    validation_status: Type.Optional(
      oneOf(['passed', 'failed', 'needs_human'], 'What came of checking what was made.'),
    ),
    errors: Type.Optional(strings('What is wrong.')),
    warnings: Type.Optional(strings('What deserves a look.')),
    auto_fixes_applied: Type.Optional(count('How many faults were corrected on the way.')),
    human_decisions_needed: Type.Optional(count('How many questions are left for people.')),
  },
  'What was found when the result was checked.',
)

const nextSteps = open(
  {
    for_human: Type.Optional(strings('What people should do next.')),
    for_ai_agent: Type.Optional(strings('What agents should do next.')),
  },
  'What comes next.',
)

export const BootstrapReport = document(
  {
    title: 'Bootstrap report',
    description: 'What was made when a project was set up for the framework, and what is left to do.',
    example: {
      project_name: 'shop',
      domain: 'software-dev',
      profile_id: 'node-service',
      profile_version: '1.0.0',
      status: 'ready',
      discovery_summary: { languages: 'TypeScript (92 %)', version_control: 'git' },
      generated_artifacts: [{ path: 'router_config.json', type: 'router_config.v1', status: 'validated' }],
      directories_created: ['.worktrees'],
      configuration: { patch_only_mode: true, max_lines_per_patch: 400, available_tools: ['aider'] },
      validation_results: { validation_status: 'passed', errors: [], auto_fixes_applied: 0 },
      next_steps: { for_human: ['Review router_config.json.'] },
      initialization_time: '2026-01-05T09:05:00Z',
      ready_for_workstreams: true,
    },
  },
  {
    project_name: text('What the project is called.'),
    domain: text('What kind of work it is.'),
    profile_id: text('The profile that was chosen.'),
    profile_version: Type.Optional(text('The version of that profile.')),
    status: oneOf(['ready', 'partial', 'failed', 'needs_human'], 'How far it came.'),
    discovery_summary: Type.Optional(discoverySummary),
    generated_artifacts: Type.Array(artifact, { description: 'The files that were made.' }),
    directories_created: Type.Optional(strings('The directories that were made.')),
    configuration,
    validation_results: Type.Optional(validationResults),
    next_steps: Type.Optional(nextSteps),
    initialization_time: Type.Optional(dateTime('When it was set up.')),
    ready_for_workstreams: Type.Optional(flag('Whether work can begin.')),
  },
)
