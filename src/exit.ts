/** What the process answers its caller with; BSD's sysexits.h has the numbers above 63. */
export const EXIT = {
  ok: 0,
  failure: 1,
  /** `explain`: it was answered, and no tool would take the task. */
  no_tool: 2,
  /** EX_USAGE: the command line itself is wrong. */
  usage: 64,
  /** EX_NOINPUT: the file to read, or what was asked for, is not there. */
  no_input: 66,
  /** EX_UNAVAILABLE: the server does not answer, or asks to come again later. */
  unavailable: 69,
  /** EX_CANTCREAT: the file to write is there already, or cannot be made. */
  cannot_create: 73,
  /** EX_TEMPFAIL: another process holds the data directory; later it may work. */
  busy: 75,
  /** EX_CONFIG: the configuration or the key is refused, or the store is shorter than its anchor. */
  config: 78,
} as const

export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

/** Ends the process with a code and one clear line. Its message is written for whoever typed the command. */
export class ExitError extends Error {
  readonly exit_code: ExitCode

  constructor(exit_code: ExitCode, message: string) {
    super(message)
    this.name = 'ExitError'
    this.exit_code = exit_code
  }
}
