import { describe, expect, it } from 'vitest'
import { diffRouterConfigs } from '../../../src/domain/router-config-diff.ts'
import { aConfig, anApp } from '../../support/routing.ts'

const rule = (id: string, select_from = ['aider']) => ({ id, select_from })
const base = aConfig({
  apps: { aider: { max: 2 }, codex: {} },
  rules: [rule('a'), rule('b'), rule('c'), rule('d')],
  defaults: { max_attempts: 3 },
})
const changesTo = (change: object) => diffRouterConfigs(base, { ...base, ...change })
const ruleOrder = (...ids: string[]) => ({
  routing: { rules: ids.map((id) => ({ match: {}, ...rule(id) })) },
})

describe('the difference of two configurations', () => {
  it('is nothing between equal ones, however they are ordered', () => {
    const { version, apps, routing, defaults } = base
    const turned = { defaults, routing, apps: Object.fromEntries(Object.entries(apps).reverse()), version }
    expect(diffRouterConfigs(base, turned)).toEqual([])
  })

  it('names what was added, removed and changed, field by field', () => {
    const apps = { aider: { ...anApp({ max: 4 }), description: 'edits' }, claude: anApp() }
    expect(changesTo({ apps })).toEqual([
      {
        subject: 'app',
        id: 'aider',
        change: 'changed',
        fields: [
          { pointer: '#/limits/max_parallel', before: 2, after: 4 },
          { pointer: '#/description', before: null, after: 'edits' },
        ],
      },
      {
        subject: 'app',
        id: 'codex',
        change: 'removed',
        fields: [{ pointer: '#', before: anApp(), after: null }],
      },
      {
        subject: 'app',
        id: 'claude',
        change: 'added',
        fields: [{ pointer: '#', before: null, after: anApp() }],
      },
    ])
  })

  it('compares a list as a whole', () => {
    const [first, ...rest] = base.routing.rules!
    const rules = [{ ...first, select_from: ['codex', 'aider'] }, ...rest]
    expect(changesTo({ routing: { rules } })).toEqual([
      {
        subject: 'rule',
        id: 'a',
        change: 'changed',
        fields: [{ pointer: '#/select_from', before: ['aider'], after: ['codex', 'aider'] }],
      },
    ])
  })

  it('knows the version and the defaults', () => {
    expect(changesTo({ version: '2.0.0', defaults: { max_attempts: 3, strategy: 'auto' } })).toEqual([
      {
        subject: 'document',
        id: null,
        change: 'changed',
        fields: [{ pointer: '#/version', before: '1.0.0', after: '2.0.0' }],
      },
      {
        subject: 'defaults',
        id: null,
        change: 'changed',
        fields: [{ pointer: '#/strategy', before: null, after: 'auto' }],
      },
    ])
  })

  it.each([
    { order: ['d', 'a', 'b', 'c'], moved: [['d', 3, 0]] },
    { order: ['b', 'c', 'a', 'd'], moved: [['a', 0, 2]] },
    {
      order: ['d', 'c', 'b', 'a'],
      moved: [
        ['b', 1, 2],
        ['c', 2, 1],
        ['d', 3, 0],
      ],
    },
    { order: ['a', 'c', 'd'], moved: [] },
    { order: ['a', 'x', 'b', 'c', 'd'], moved: [] },
  ])('of the order $order it names the fewest moves', ({ order, moved }) => {
    const moves = changesTo(ruleOrder(...order)).filter(({ change }) => change === 'moved')
    expect(moves.map(({ id, fields: [field] }) => [id, field?.before, field?.after])).toEqual(moved)
  })
})
