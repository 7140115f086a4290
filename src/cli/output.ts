import { styleText } from 'node:util'
import type { Command } from 'commander'
import { EXIT } from '../exit.ts'

export interface OutputFlags {
  json?: true
  /** False with --no-color. */
  color: boolean
}

/** How to print: for people, or for programs. */
export function addOutputFlags(command: Command, json: string): Command {
  return command
    .option('--json', json)
    .option('--no-color', 'no colours, as with the variable NO_COLOR; there are none but on a terminal')
}

const STATE_STYLES = {
  pending: 'dim',
  blocked: 'dim',
  queued: 'dim',
  running: 'cyan',
  claimed: 'cyan',
  succeeded: 'green',
  closed: 'green',
  failed: 'red',
  quarantined: 'red',
  open: 'red',
  canceled: 'yellow',
  half_open: 'yellow',
} as const

export type Style = 'dim' | 'bold' | 'red' | 'green' | 'yellow' | 'cyan' | 'none'

/** The colour of a state, of whatever has one. What nobody has told us of has none. */
export const styleOf = (state: string): Style => (STATE_STYLES as Record<string, Style>)[state] ?? 'none'

export interface Output {
  /** Columns of the terminal; null where lines may be as long as they like. */
  width: number | null
  paint(style: Style, text: string): string
  print(lines: readonly string[]): void
  /** For whoever waits at the terminal, and no part of what is printed. */
  remark(text: string): void
}

type Out = Pick<NodeJS.WriteStream, 'write' | 'on'> & { isTTY?: boolean; columns?: number }

interface Surroundings {
  stdout: Out
  stderr: Pick<NodeJS.WriteStream, 'write'>
  env: NodeJS.ProcessEnv
}

/** Ends the process, without a word, when nobody reads any more what it prints (`| head`). */
export function openOutput({ color }: { color: boolean }, surroundings: Surroundings = process): Output {
  const { stdout, stderr, env } = surroundings
  const isTerminal = stdout.isTTY === true
  const hasColor = color && isTerminal && !env['NO_COLOR'] && env['TERM'] !== 'dumb'
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
    process.exit(EXIT.ok)
  })
  return {
    width: isTerminal ? (stdout.columns ?? null) : null,
    paint: (style, text) =>
      hasColor && style !== 'none' && text !== '' ? styleText(style, text, { validateStream: false }) : text,
    print: (lines) => void (lines.length > 0 && stdout.write(lines.map((line) => `${line}\n`).join(''))),
    remark: (text) => void stderr.write(`signalbox: ${text}\n`),
  }
}
