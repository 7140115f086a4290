#!/usr/bin/env node
// Nothing is imported statically but Node's own: an import would be loaded before the version is looked at, and
// on a Node that is too old the SQLite driver ends the process without a word.
import process from 'node:process'

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)

if (major > 22 || (major === 22 && minor >= 18)) {
  const { run } = await import('./cli/program.ts')
  await run(process.argv.slice(2))
} else {
  process.stderr.write(
    `signalbox needs Node 22.18 or later, and this is ${process.versions.node}. From a checkout, \`npm start\` and ` +
      '`npm run signalbox -- …` bring the right one; otherwise install Node 24.\n',
  )
  process.exitCode = 1
}
