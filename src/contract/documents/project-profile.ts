import { Type } from '@sinclair/typebox'
import { DEFAULTS } from '../defaults.ts'
import { document } from './document.ts'
import { filled, flag, integer, mapOf, oneOf, open, semver, strings, text } from './fields.ts'

/** What kind of work a project is; its profile and its discovery both say. */
export const projectDomain = oneOf(
  ['software-dev', 'data-pipeline', 'operations', 'documentation', 'mixed'],
  'What kind of work the project is.',
)

const resourceType = open(
  {
    root: Type.Optional(text('Where these resources are, relative to the project.')),
    tracked_by: Type.Optional(text('What keeps their history: git …')),
    exclusions: Type.Optional(strings('Patterns of what does not count among them.')),
  },
  'A kind of resource.',
)

const availableTool = open(
  {
    tool_id: text('The id of the tool.'),
    command: text('The command that invokes it.'),
    capabilities: strings('What it can do.'),
    max_parallel: Type.Optional(
      integer('How often it may run at once.', { minimum: 1, default: DEFAULTS.max_parallel }),
    ),
  },
  'A tool that can be invoked here.',
)

const frameworkPaths = open(
  {
    tasks_dir: text('Where tasks are.'),
    ledger_dir: text('Where the ledger is.'),
    worktrees_dir: text('Where working copies are made.'),
    quarantine_dir: text('Where patches that are set aside are kept.'),
    registry_file: text('The file that lists the tools.'),
  },
  'Where the framework keeps its own things, relative to the project.',
)

const constraints = open(
  {
    patch_only: Type.Optional(flag('Whether files may be changed by patches only.', { default: true })),
    tests_must_pass: Type.Optional(flag('Whether the tests must pass after a change.', { default: true })),
    ascii_only: Type.Optional(flag('Whether files may hold ASCII characters only.', { default: true })),
    max_lines_changed: Type.Optional(integer('The most lines that one patch may change.', { minimum: 1 })),
    max_files_changed: Type.Optional(integer('The most files that one patch may change.', { minimum: 1 })),
    require_issue_ref: Type.Optional(flag('Whether each patch must name the issue that asked for it.')),
  },
  'What all work in the project must keep to.',
)

export const ProjectProfile = document(
  {
    title: 'Project profile',
    description:
      'A project as the framework knows it: where it is, what it consists of, and which tools it has.',
    example: {
      project_id: 'shop',
      project_name: 'Shop',
      project_root: '/srv/shop',
      domain: 'software-dev',
      profile_id: 'node-service',
      profile_version: '1.0.0',
      resource_types: { files: { root: '.', tracked_by: 'git', exclusions: ['node_modules/**'] } },
      available_tools: [{ tool_id: 'aider', command: 'aider', capabilities: ['code_edit'], max_parallel: 1 }],
      framework_paths: {
        tasks_dir: '.tasks',
        ledger_dir: '.ledger',
        worktrees_dir: '.worktrees',
        quarantine_dir: '.quarantine',
        registry_file: '.tasks/tools.json',
      },
      constraints: { patch_only: true, ascii_only: false, max_lines_changed: 400 },
      framework_version: '1.4.0',
    },
  },
  {
    project_id: filled('The id of the project; runs name it.'),
    project_name: filled('What people call it.'),
    project_root: filled('Where it is.'),
    domain: projectDomain,
    profile_id: filled('The profile that it follows.'),
    profile_version: Type.Optional(semver('The version of that profile: major.minor.patch.')),
    resource_types: mapOf(resourceType, 'What the project consists of: kinds of resources by name.'),
    available_tools: Type.Array(availableTool, { description: 'The tools that it has.' }),
    framework_paths: frameworkPaths,
    constraints,
    framework_version: Type.Optional(semver('The version of the framework: major.minor.patch.')),
  },
)
