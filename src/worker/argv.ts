/** What stands for what the request brings, anywhere in an argument: `{prompt_file}`, `--message={prompt}`. */
export const PLACEHOLDERS: readonly string[] = ['prompt', 'prompt_file', 'working_directory', 'request_file']

export interface Values {
  /** What the tool is asked; empty if the request has no prompt. */
  prompt: string
  /** A file with the prompt and nothing else. */
  prompt_file: string
  working_directory: string
  /** A file with the whole execution request as JSON. */
  request_file: string
}

// Only words in lower case: `{ print }` and `{"a":1}` are arguments like others.
const PLACEHOLDER = /\{([a-z_]+)\}/g

export const placeholdersOf = (argument: string): string[] =>
  [...argument.matchAll(PLACEHOLDER)].map(([, word = '']) => word)

/** The arguments with what the request brings. One pass: a prompt that holds a placeholder stays as it is. */
export function filledArgv(argv: readonly string[], values: Values): string[] {
  return argv.map((argument, index) =>
    index === 0
      ? argument
      : argument.replaceAll(PLACEHOLDER, (whole, word: string) => values[word as keyof Values] ?? whole),
  )
}

/**
 * Whether the program would take the prompt for an option: the prompt is an argument of its own, begins with `-`,
 * and no `--` stands before it. Options are for the tools file to say, not for who sends prompts.
 */
export function isPromptAnOption(argv: readonly string[], prompt: string): boolean {
  if (!prompt.startsWith('-')) return false
  const end = argv.indexOf('--', 1)
  return argv.some((argument, index) => argument.startsWith('{prompt}') && (end === -1 || index < end))
}
