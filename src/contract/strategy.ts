import type { Static } from '@sinclair/typebox'
import { words } from './named.ts'

export const Strategy = words(
  'Strategy',
  ['fixed', 'round_robin', 'auto'],
  'How one of several tools is chosen: the first, each in turn, or the one with the best score.',
)
export type Strategy = Static<typeof Strategy>
