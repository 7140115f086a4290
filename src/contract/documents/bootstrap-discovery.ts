import { Type } from '@sinclair/typebox'
import { nullable } from '../named.ts'
import { document } from './document.ts'
import { count, dateTime, filled, flag, open, strings, text } from './fields.ts'
import { projectDomain } from './project-profile.ts'

const language = open(
  {
    language: text('The name of the language.'),
    percentage: Type.Number({
      minimum: 0,
      maximum: 100,
      description: 'Its share of the project, in percent.',
    }),
    file_count: Type.Optional(count('How many files are written in it.')),
  },
  'A language that the project is written in.',
)

const framework = open(
  {
    framework: text('The name of the framework.'),
    indicator: text('What gave it away: a file, a dependency …'),
  },
  'A framework that the project uses.',
)

const availableTool = open(
  {
    tool_id: text('The id of the tool.'),
    detected_via: text('How it was found: on the path, in the dependencies …'),
    version: Type.Optional(text('Its version, as it says itself.')),
  },
  'A tool that is there.',
)

const inferredConstraints = open(
  {
    tests_must_pass: Type.Optional(flag('Whether the tests should have to pass after a change.')),
    lint_required: Type.Optional(flag('Whether the linter should have to pass after a change.')),
    patch_only: Type.Optional(flag('Whether files should be changed by patches only.')),
  },
  'What work in the project should keep to, as far as can be told.',
)

const directoryStructure = open(
  {
    src_dirs: Type.Optional(strings('Where the source is.')),
    test_dirs: Type.Optional(strings('Where the tests are.')),
    doc_dirs: Type.Optional(strings('Where the documentation is.')),
    config_dirs: Type.Optional(strings('Where the configuration is.')),
    script_dirs: Type.Optional(strings('Where scripts are.')),
  },
  'What is where, relative to the project.',
)

export const BootstrapDiscovery = document(
  {
    title: 'Bootstrap discovery',
    description: 'What was found by looking at a project, before it has a profile.',
    example: {
      project_root: '/srv/shop',
      project_name: 'shop',
      domain: 'software-dev',
      domain_confidence: 0.95,
      languages: [{ language: 'TypeScript', percentage: 92.5, file_count: 140 }],
      frameworks: [{ framework: 'fastify', indicator: 'package.json' }],
      resource_types: ['files'],
      available_tools: [{ tool_id: 'vitest', detected_via: 'package.json', version: '5.1.1' }],
      existing_ci: 'github-actions',
      vcs: 'git',
      inferred_constraints: { tests_must_pass: true },
      directory_structure: { src_dirs: ['src'], test_dirs: ['test'] },
      discovery_timestamp: '2026-01-05T09:00:00Z',
    },
  },
  {
    project_root: filled('Where the project is.'),
    project_name: filled('What it is called.'),
    domain: projectDomain,
    domain_confidence: Type.Optional(
      Type.Number({
        minimum: 0,
        maximum: 1,
        description: 'How sure the domain is: 0 is a guess, 1 certain.',
      }),
    ),
    languages: Type.Array(language, { description: 'The languages that it is written in.' }),
    frameworks: Type.Optional(Type.Array(framework, { description: 'The frameworks that it uses.' })),
    resource_types: strings('The kinds of resources that it consists of.'),
    available_tools: Type.Array(availableTool, { description: 'The tools that are there.' }),
    existing_ci: Type.Optional(nullable(text('What builds it now; null if nothing does.'))),
    vcs: Type.Optional(nullable(text('What keeps its history; null if nothing does.'))),
    inferred_constraints: Type.Optional(inferredConstraints),
    directory_structure: Type.Optional(directoryStructure),
    discovery_timestamp: Type.Optional(dateTime('When it was looked at.')),
  },
)
