import type { Static } from '@sinclair/typebox'
import { words } from './named.ts'

// One set of words for tasks, execution requests and routing rules alike: what a task says is what a rule
// can match.

export const Complexity = words(
  'Complexity',
  ['trivial', 'simple', 'moderate', 'complex', 'expert'],
  'How hard a task is, easiest first.',
)
export type Complexity = Static<typeof Complexity>

export const RiskTier = words(
  'RiskTier',
  ['low', 'medium', 'high'],
  'How much a task could break, least first.',
)
export type RiskTier = Static<typeof RiskTier>

export const Priority = words(
  'Priority',
  ['low', 'normal', 'high', 'critical'],
  'How urgent a task is, least first. Absent is `normal`.',
)
export type Priority = Static<typeof Priority>
