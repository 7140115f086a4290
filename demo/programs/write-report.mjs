// Writes down what the tasks that its own task needs have found: a section for each, with what its program printed as
// the ledger has it. So a program needs to know nothing of those before it but where the server is.
// The contents come from the headings that the pass before has noted, as with LaTeX: the first report has none.
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const { SIGNALBOX_DEMO_URL: url, SIGNALBOX_DEMO_DIR: directory } = process.env
if (url === undefined || directory === undefined) {
  throw new Error(
    'SIGNALBOX_DEMO_URL has to be a server, and SIGNALBOX_DEMO_DIR the directory of the report.',
  )
}
const { run_id, task_id } = JSON.parse(readFileSync(process.argv[2], 'utf8'))
const { nodes } = await get(`/v1/runs/${run_id}/plan`)
const { items: attempts } = await get(`/v1/runs/${run_id}/steps?limit=500`)

const { needs } = nodes.find((node) => node.task_id === task_id)
const tasks = nodes.filter((node) => needs.includes(node.task_id))
const noted = join(directory, 'headings.txt')
const contents = existsSync(noted) ? `## Contents\n\n${readFileSync(noted, 'utf8')}\n` : ''
const text = `# What was found\n\n${contents}${tasks.map(sectionOf).join('\n')}`
write(noted, tasks.map((task) => `- ${headingOf(task)}\n`).join(''))
write(join(directory, 'report.md'), text)
const listed = contents === '' ? 'no contents yet' : 'contents'
console.log(`report.md: ${listed}, ${tasks.length} sections, ${text.split('\n').length - 1} lines`)

async function get(path) {
  const response = await fetch(url + path)
  if (!response.ok) throw new Error(`${path} was answered ${response.status}: ${await response.text()}`)
  return response.json()
}

/** Renamed into its place, so that nobody ever reads half of it. */
function write(file, text) {
  writeFileSync(`${file}.new`, text)
  renameSync(`${file}.new`, file)
}

function headingOf({ task_id, name }) {
  return `${task_id}: ${name}`
}

function sectionOf(task) {
  const { tool_id, stdout_tail } = attempts.find(
    (each) => each.execution_request_id === task.execution_request_id && each.state === 'succeeded',
  )
  const printed = (stdout_tail ?? '').trim().split('\n')
  const found = printed.map((line) => `    ${line}`.trimEnd()).join('\n')
  return `## ${headingOf(task)}\n\nBy ${tool_id}.\n\n${found.trim() === '' ? 'It had nothing to say.' : found}\n`
}
