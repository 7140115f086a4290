/** Text in rows, with lines that find their own corners and crossings. */
export interface Canvas {
  /** Lines of one net join where they meet. */
  across(net: number, row: number, columns: readonly [number, number]): void
  down(net: number, column: number, rows: readonly [number, number]): void
  write(row: number, column: number, text: string): void
  lines(): string[]
}

// The ways that lines leave a cell, as bits, and the character for each sum of them.
const UP = 1
const DOWN = 2
const LEFT = 4
const RIGHT = 8
const ALL = UP | DOWN | LEFT | RIGHT
const LINES = ' │││─┘┐┤─└┌├─┴┬┼'

/** What is in a cell: a character, or the ways of each net. */
type Cell = string | Map<number, number>

export function createCanvas(): Canvas {
  const rows: Cell[][] = []
  const cellsOf = (row: number): Cell[] => (rows[row] ??= [])
  const draw = (net: number, row: number, column: number, way: number): void => {
    const cell = (cellsOf(row)[column] ??= new Map())
    if (typeof cell !== 'string') cell.set(net, (cell.get(net) ?? 0) | way)
  }
  return {
    across(net, row, [from, to]) {
      for (let column = from; column < to; column++) {
        draw(net, row, column, RIGHT)
        draw(net, row, column + 1, LEFT)
      }
    },
    down(net, column, [from, to]) {
      for (let row = from; row < to; row++) {
        draw(net, row, column, DOWN)
        draw(net, row + 1, column, UP)
      }
    },
    write(row, column, text) {
      const cells = cellsOf(row)
      for (const [index, character] of [...text].entries()) cells[column + index] = character
    },
    lines: () => Array.from(rows, (cells = []) => Array.from(cells, characterOf).join('').trimEnd()),
  }
}

function characterOf(cell: Cell | undefined): string {
  if (cell === undefined) return ' '
  if (typeof cell === 'string') return cell
  const ways = [...cell.values()]
  const sum = ways.reduce((one, other) => one | other)
  const isCrossing = sum === ALL && ways.every((each) => each === (UP | DOWN) || each === (LEFT | RIGHT))
  return isCrossing ? '│' : LINES.charAt(sum)
}
