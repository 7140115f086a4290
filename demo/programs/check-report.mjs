// Looks at the report: it has to have a section for each task that the reporting task needs, and contents that name them.
// What is needed it reads from the plan, not from the report, which may have forgotten it in both places.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const { SIGNALBOX_DEMO_URL: url, SIGNALBOX_DEMO_DIR: directory } = process.env
if (url === undefined || directory === undefined) {
  throw new Error(
    'SIGNALBOX_DEMO_URL has to be a server, and SIGNALBOX_DEMO_DIR the directory of the report.',
  )
}
const { run_id, validates } = JSON.parse(readFileSync(process.argv[2], 'utf8'))
const response = await fetch(`${url}/v1/runs/${run_id}/plan`)
if (!response.ok) throw new Error(`The plan was answered ${response.status}: ${await response.text()}`)
const { nodes } = await response.json()
const { needs } = nodes.find((node) => node.execution_request_id === validates.execution_request_id)

const lines = readFileSync(join(directory, 'report.md'), 'utf8').split('\n')
const hasNot = (mark) =>
  needs.filter((task_id) => !lines.some((line) => line.startsWith(`${mark}${task_id}: `)))
const faults = [
  ['The contents do not name', hasNot('- ')],
  ['There is no section on', hasNot('## ')],
].filter(([, missing]) => missing.length > 0)
for (const [fault, missing] of faults) console.log(`${fault} ${missing.join(', ')}.`)
if (faults.length > 0) process.exitCode = 1
else console.log(`The contents and the sections name all ${needs.length} tasks.`)
