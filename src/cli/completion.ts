import { Argument, type Command } from 'commander'
import { bashCompletion, fishCompletion, zshCompletion } from './completion-scripts.ts'
import { commandTable } from './command-table.ts'
import { examples } from './help.ts'

const SCRIPTS = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion }

const AFTER_HELP = `
It knows the commands and flags of this version; it asks no server.
${examples(
  'source <(signalbox completion bash)   # in ~/.bashrc',
  'source <(signalbox completion zsh)    # in ~/.zshrc, after compinit',
  'signalbox completion fish | source    # in ~/.config/fish/config.fish',
)}`

export function addCompletion(signalbox: Command): void {
  signalbox
    .command('completion')
    .description('Print a script that lets a shell complete commands, flags and their values.')
    .addArgument(new Argument('<shell>', 'the shell').choices(Object.keys(SCRIPTS)))
    .addHelpText('after', AFTER_HELP)
    .action((shell: keyof typeof SCRIPTS) => {
      process.stdout.write(SCRIPTS[shell](commandTable(signalbox)))
    })
}
