import { stripVTControlCharacters } from 'node:util'
import type { Output, Style } from './output.ts'

/** A span of time, with tenths of a second as long as those say something. */
export function spanText(ms: number): string {
  if (ms < 1_000_000) return `${(ms / 1_000).toFixed(1)} s`
  const minutes = Math.round(ms / 60_000)
  return minutes < 600 ? `${minutes} min` : `${Math.round(minutes / 60)} h`
}

/** A text behind its label, on as many lines as it takes. */
export function labeled(
  label: string,
  text: string,
  { width, indent }: { width: number; indent: number },
): string[] {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const longer = lines.length === 0 ? word : `${lines.at(-1)} ${word}`
    if (lines.length === 0 || longer.length > width - indent) lines.push(word)
    else lines[lines.length - 1] = longer
  }
  return lines.map((line, index) => `  ${index === 0 ? label : ''}`.padEnd(indent) + line)
}

/** The last lines that say something. */
export function lastLines(text: string, { count, width }: { count: number; width: number }): string[] {
  const lines = text.split('\n').map((line) => printable(line).trim())
  return lines
    .filter((line) => line !== '')
    .slice(-count)
    .map((line) => cut(line, width))
}

/** Without what would move a terminal's cursor or change its colours: texts come from others. */
export const printable = (text: string): string =>
  stripVTControlCharacters(text).replaceAll(/\s/g, ' ').replaceAll(/\p{C}/gu, '')

export const cut = (text: string, width: number): string =>
  text.length > width ? `${text.slice(0, width - 1)}…` : text

export interface Cell {
  text: string
  style?: Style
}

/**
 * Rows in columns, each as wide as its widest text. What does not fit the terminal is cut off at its right, so what
 * matters most stands at the left.
 */
export function table(
  rows: readonly (readonly Cell[])[],
  { paint, width }: Pick<Output, 'paint' | 'width'>,
): string[] {
  const widths: number[] = []
  for (const row of rows)
    for (const [index, { text }] of row.entries()) widths[index] = Math.max(widths[index] ?? 0, text.length)
  return rows.map((row) => {
    let left = width ?? Infinity
    const cells = row.map(({ text, style = 'none' }, index) => {
      const isLast = index === row.length - 1
      const shown = left < 2 ? '' : cut(text, left)
      const gap = isLast
        ? ''
        : ' '.repeat(Math.max(0, Math.min(widths[index]! - text.length + 2, left - shown.length)))
      left -= shown.length + gap.length
      return paint(style, shown) + gap
    })
    return cells.join('').trimEnd()
  })
}
