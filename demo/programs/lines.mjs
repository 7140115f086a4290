// Counts files and lines below a directory, by the folders in it.
import { readFileSync, readdirSync } from 'node:fs'
import { join, sep } from 'node:path'

const [directory = '.'] = process.argv.slice(2)
const counts = new Map()
for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile()) continue
  const file = join(entry.parentPath, entry.name)
  const [folder] = file.slice(directory.length + 1).split(sep)
  const { files, lines } = counts.get(folder) ?? { files: 0, lines: 0 }
  counts.set(folder, { files: files + 1, lines: lines + readFileSync(file, 'utf8').split('\n').length - 1 })
}
if (counts.size === 0) throw new Error(`There is no file in ${directory}.`)

const most = [...counts].toSorted(([, a], [, b]) => b.lines - a.lines)
for (const [folder, { files, lines }] of most.slice(0, 2)) {
  console.log(`${join(directory, folder)}: ${files} files, ${lines} lines`)
}
const total = (key) => [...counts.values()].reduce((sum, each) => sum + each[key], 0)
console.log(`${directory}: ${total('files')} files, ${total('lines')} lines`)
