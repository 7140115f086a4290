const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' })

/** What is drawn over its neighbour, or not at all. */
const WITHOUT_COLUMN = /[\p{Mn}\p{Me}\p{Cf}]/u

/**
 * UAX #11, East Asian Width, W and F: what JavaScript has no property for. Emoji are left out, which have one; what
 * stands between wide characters and is not assigned, or not wide everywhere, is wide here.
 */
const WIDE = new RegExp(
  '[' +
    '\\u1100-\\u115f\\u2329\\u232a\\u2630-\\u2637\\u268a-\\u268f' +
    '\\u2e80-\\u303e\\u3041-\\ua4cf\\ua960-\\ua97f\\uac00-\\ud7a3\\uf900-\\ufaff' +
    '\\ufe10-\\ufe19\\ufe30-\\ufe6f\\uff01-\\uff60\\uffe0-\\uffe6' +
    '\\u{16fe0}-\\u{18dff}\\u{1aff0}-\\u{1b2ff}\\u{1d300}-\\u{1d37f}\\u{1f200}-\\u{1f2ff}\\u{20000}-\\u{3fffd}' +
    ']',
  'u',
)
const EMOJI = /\p{Emoji_Presentation}/u
/** Two of them make a flag, of two columns. */
const HALF_A_FLAG = /\p{Regional_Indicator}/u
/** Asks for the emoji of a character that also has a narrow form. */
const AS_EMOJI = '\ufe0f'

/** As much of a text as fits into so many columns of a terminal; no character that a reader sees is cut in two. */
export function cutToColumns(text: string, columns: number): string {
  let left = columns
  let cut = ''
  for (const { segment } of graphemes.segment(text)) {
    left -= columnsOf(segment)
    if (left < 0) break
    cut += segment
  }
  return cut
}

/**
 * How many columns a text takes in a terminal, at most: some draw the parts of a joined emoji next to each other.
 * Without tabs, line breaks and escape sequences.
 */
export function columnsOf(text: string): number {
  let columns = 0
  for (const character of text) columns += columnsOfOne(character)
  return columns
}

function columnsOfOne(character: string): number {
  if (character === AS_EMOJI) return 1 // the second column of what stands before it
  if (WITHOUT_COLUMN.test(character)) return 0
  if (HALF_A_FLAG.test(character)) return 1
  return WIDE.test(character) || EMOJI.test(character) ? 2 : 1
}
