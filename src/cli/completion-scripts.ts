import type { CommandRow, Flag, Values } from './command-table.ts'

// A word that is one of the paths of the table leads deeper; a flag before the cursor asks for its value; else there are
// the commands, flags and first argument of where one is. All three scripts are that, with the same table in them.

/** The flags of the program itself are those of help; without a command it serves. */
const wordsOf = ({ commands, flags }: CommandRow): string[] => [
  ...commands.map(({ name }) => name),
  ...flags.map(({ name }) => name),
]

const pathsOf = (table: readonly CommandRow[]): string[] =>
  table.map(({ path }) => path).filter((path) => path !== '')

const valued = ({ flags }: CommandRow): (Flag & { values: Values })[] =>
  flags.flatMap((flag) => (flag.values === null ? [] : [{ ...flag, values: flag.values }]))

const quoted = (text: string): string => `'${text.replaceAll("'", String.raw`'\''`)}'`

const alternatives = (words: readonly string[]): string => words.map(quoted).join(' | ')

/** For bash 3.2, which macOS has, and later ones. */
export function bashCompletion(table: readonly CommandRow[]): string {
  const flags = table.flatMap((row) =>
    valued(row).map((flag) => ({ ...flag, label: `${row.path} ${flag.name}` })),
  )
  const labelsOf = (kind: Values['kind']): string[] =>
    flags.filter(({ values }) => values.kind === kind).map(({ label }) => label)
  const kinds = (['free', 'file', 'directory'] as const)
    .filter((kind) => labelsOf(kind).length > 0)
    .map((kind) => `    ${alternatives(labelsOf(kind))}) kind=${kind} ;;`)
  const choices = flags.flatMap(({ label, values, is_optional }) =>
    // A value that may be left out is offered beside the flags that could stand in its place.
    values.kind === 'words'
      ? [
          `    ${quoted(label)}) words=${quoted(values.words.join(' '))}${is_optional ? '' : ' kind=words'} ;;`,
        ]
      : [],
  )
  const places = table.map((row) => {
    const { path, argument } = row
    const own = argument?.kind === 'words' ? argument.words : []
    const kind = argument?.kind === 'file' ? ' kind=file' : ''
    return `    ${quoted(path)}) words="$words "${quoted([...own, ...wordsOf(row)].join(' '))}${kind} ;;`
  })
  return `# Completion of signalbox for bash, made by \`signalbox completion bash\`.
_signalbox() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]}
  local path='' words='' kind='' found='' index next line
  for ((index = 1; index < COMP_CWORD; index++)); do
    next=\${path:+$path }\${COMP_WORDS[index]}
    case $next in
      ${alternatives(pathsOf(table))}) path=$next ;;
    esac
  done
  case "$path $previous" in
${[...kinds, ...choices].join('\n')}
  esac
  [[ -n $kind ]] || case $path in
${places.join('\n')}
  esac
  [[ $kind == file ]] && found=$(compgen -f -- "$current")
  [[ $kind == directory ]] && found=$(compgen -d -- "$current")
  COMPREPLY=()
  while IFS= read -r line; do
    [[ -n $line ]] && COMPREPLY+=("$line")
  done <<<"$found"$'\\n'"$(compgen -W "$words" -- "$current")"
}
complete -o filenames -F _signalbox signalbox
`
}

export function zshCompletion(table: readonly CommandRow[]): string {
  const offer = (values: Values): string => {
    if (values.kind === 'words') return `compadd -- ${values.words.map(quoted).join(' ')}`
    if (values.kind === 'free') return "_message 'value'"
    return values.kind === 'file' ? '_files' : '_files -/'
  }
  const flags = table.flatMap((row) =>
    valued(row).map(
      ({ name, values, is_optional }) =>
        `    ${quoted(`${row.path} ${name}`)}) ${offer(values)}${is_optional ? '' : '; return'} ;;`,
    ),
  )
  const places = table.map((row) => {
    const own = row.argument === null ? '' : `; [[ $current == -* ]] || ${offer(row.argument)}`
    return `    ${quoted(row.path)}) compadd -- ${wordsOf(row).map(quoted).join(' ')}${own} ;;`
  })
  return `#compdef signalbox
# Completion of signalbox for zsh, made by \`signalbox completion zsh\`.
_signalbox() {
  local current=\${words[CURRENT]} previous=\${words[CURRENT-1]} place='' next
  local -i index
  for ((index = 2; index < CURRENT; index++)); do
    next="\${place:+$place }\${words[index]}"
    case $next in
      (${alternatives(pathsOf(table)).replaceAll(' | ', '|')}) place=$next ;;
    esac
  done
  case "$place $previous" in
${flags.join('\n')}
  esac
  case $place in
${places.join('\n')}
  esac
}
if [[ \${funcstack[1]} == _signalbox ]]; then _signalbox "$@"; else compdef _signalbox signalbox; fi
`
}

export function fishCompletion(table: readonly CommandRow[]): string {
  const paths = alternatives(pathsOf(table)).replaceAll(' | ', ' ')
  const complete = (path: string, rest: string): string =>
    `complete -c signalbox -n ${quoted(`test (__signalbox_path) = "${path}"`)} ${rest}`
  const source = (values: Values): string => {
    if (values.kind === 'words') return ` -a ${quoted(values.words.join(' '))}`
    if (values.kind === 'free') return ''
    return values.kind === 'file' ? ' -F' : " -a '(__fish_complete_directories)'"
  }
  const lines = table.flatMap((row) => [
    ...row.commands.map(({ name, description }) =>
      complete(row.path, `-a ${name} -d ${quoted(description)}`),
    ),
    ...row.flags.map(({ name, values, is_optional, description }) => {
      const needs = values === null || is_optional ? '' : ' -r'
      const from = values === null ? '' : source(values)
      return complete(row.path, `-l ${name.replace(/^--/, '')}${needs}${from} -d ${quoted(description)}`)
    }),
    ...(row.argument === null || row.argument.kind === 'free'
      ? []
      : [complete(row.path, source(row.argument).trim())]),
  ])
  return `# Completion of signalbox for fish, made by \`signalbox completion fish\`.
function __signalbox_path
  set -l path
  for word in (commandline -opc)[2..-1]
    if contains -- (string join -- ' ' $path $word) ${paths}
      set path $path $word
    end
  end
  echo "$path"
end
complete -c signalbox -f
${lines.join('\n')}
`
}
