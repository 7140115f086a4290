import { expect, it } from 'vitest'
import { columnsOf, cutToColumns } from '../../src/worker/columns.ts'

it.each([
  ['basket', 6],
  ['Käse', 4],
  ['Ka\u0308se', 4],
  ['買い物かご', 10],
  ['장바구니', 8],
  ['ﾊﾞｽｹｯﾄ', 6],
  ['ＡＢ', 4],
  ['𠮷', 2],
  ['🧺', 2],
  ['🇨🇭', 2],
  ['❤', 1],
  ['❤\ufe0f', 2],
  ['▶ …', 3],
])('%s takes %i columns', (text, columns) => {
  expect(columnsOf(text)).toBe(columns)
})

it.each([
  ['basket', 3, 'bas'],
  ['basket', 80, 'basket'],
  ['買い物', 4, '買い'],
  ['買い物', 5, '買い'],
  ['a🧺b', 2, 'a'],
  ['a🧺b', 3, 'a🧺'],
  ['Ka\u0308se', 2, 'Ka\u0308'],
  ['👩\u200d🌾!', 3, ''],
])('%s in %i columns is %s', (text, columns, cut) => {
  expect(cutToColumns(text, columns)).toBe(cut)
})
