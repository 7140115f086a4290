import { closed, named, ref, words } from './named.ts'

export const HealthStatus = words(
  'HealthStatus',
  ['ok'],
  'All is well; anything else is answered with a problem.',
)

export const Health = named(
  'Health',
  closed({ status: ref(HealthStatus) }, { description: 'It is well.', examples: [{ status: 'ok' }] }),
)
