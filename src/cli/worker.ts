import { hostname } from 'node:os'
import { type Command, InvalidArgumentError } from 'commander'
import { createClock } from '../clock.ts'
import { LIMITS } from '../contract/limits.ts'
import { integer } from './arguments.ts'
import { type ServerFlags, addServerFlags, keyOf } from './server-flags.ts'

interface Flags extends ServerFlags {
  tools: string
  concurrency: number
  name: string
  dataDir: string
  leaseSeconds: number
  graceSeconds: number
  untilIdle: boolean
  keepDays: number
}

const AFTER_HELP = `
The tools file says what each tool is on this machine. No shell reads it, and nothing else is ever executed:
  tools:
    eslint:
      argv: [npx, --no, --, eslint, .]
      env: [CI]                    # passed beside PATH and HOME; nothing else is
      working_directory: ../shop   # relative to the file; left out is where the worker was started
      timeout_seconds: 300
In arguments, {prompt}, {prompt_file}, {working_directory} and {request_file} stand for what the request brings.

The first SIGTERM, SIGINT, SIGQUIT or SIGHUP claims no more and lets finish what runs; the second ends it at once,
but for SIGHUP, which a terminal that closes may send twice.

Examples:
  $ signalbox worker --tools examples/tools.yaml
  $ signalbox worker --server https://box.example.com --tools tools.yaml --key-file worker.key --concurrency 4
  $ signalbox worker --tools tools.yaml --until-idle
`

export function addWorker(signalbox: Command): void {
  const worker = signalbox
    .command('worker')
    .description('Claim work from a server, run the tools that it asks for, and report what became of them.')
    .requiredOption('--tools <file>', 'a YAML file that says what each tool is; see below')
    .option(
      '--concurrency <n>',
      `programs at once [1 to ${LIMITS.claim_items}]`,
      integer(1, LIMITS.claim_items),
      1,
    )
    .option('--name <name>', 'what the server knows this worker by', workerName, hostname())
    .option('--data-dir <dir>', 'where the output of programs is kept, by attempt', './worker-data')
    .option(
      '--lease-seconds <n>',
      `after how long without a heartbeat others get the work [${LIMITS.lease_seconds_min} to ${LIMITS.lease_seconds_max}]`,
      integer(LIMITS.lease_seconds_min, LIMITS.lease_seconds_max),
      LIMITS.lease_seconds,
    )
    .option(
      '--grace-seconds <n>',
      'how long programs may go on after the first signal; then their work is given back',
      integer(0, LIMITS.timeout_seconds),
      30,
    )
    .option(
      '--keep-days <n>',
      'after how many days the files of an attempt are removed from the data directory [8 to 3650]',
      integer(8, 3_650),
      14,
    )
    .option('--until-idle', 'end as soon as there is nothing to do', false)
    .addHelpText('after', AFTER_HELP)
  addServerFlags(worker, 'worker').action(work)
}

const HOUR_MS = 3_600_000

async function work(flags: Flags): Promise<void> {
  const { readToolsFile } = await import('../worker/tools-file.ts')
  const { forgetAttempts } = await import('../worker/retention.ts')
  const { startWorker } = await import('../worker/worker.ts')
  const { openDevice } = await import('../worker/device.ts')
  const { jsonLines, terminal } = await import('../worker/terminal.ts')
  const tools = readToolsFile(flags.tools)
  const key = keyOf(flags)
  const clock = createClock(null)
  const now = () => clock().text
  const { stdout } = process
  const screen = stdout.isTTY ? terminal(openDevice(stdout), now, flags.concurrency) : jsonLines(stdout, now)
  const { server, name, concurrency } = flags
  const forget = () => forgetAttempts(flags.dataDir, { keep_days: flags.keepDays, now_ms: clock().ms })
  forget()
  setInterval(forget, HOUR_MS).unref()
  const worker = startWorker({
    server,
    key,
    name,
    tools,
    concurrency,
    data_dir: flags.dataDir,
    lease_seconds: flags.leaseSeconds,
    grace_seconds: flags.graceSeconds,
    until_idle: flags.untilIdle,
    env: process.env,
    log: screen.log,
  })
  process.on('exit', worker.killAll) // whatever ends this process, short of SIGKILL
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const) process.on(signal, worker.stop)
  // A terminal that closes says so more than once: its shell, the kernel, and then each line that nobody reads.
  const leave = () => worker.isStopping() || worker.stop()
  process.on('SIGHUP', leave)
  stdout.on('error', leave)
  screen.log('info', 'working', { server: server.origin, name, tools: [...tools.keys()], concurrency })
  screen.show(worker.running)
  try {
    await worker.done
    screen.log('info', 'stopped')
  } finally {
    await screen.close()
  }
}

function workerName(text: string): string {
  if (text !== '' && text.length <= LIMITS.name_length) return text
  throw new InvalidArgumentError(`A name has 1 to ${LIMITS.name_length} characters.`)
}
