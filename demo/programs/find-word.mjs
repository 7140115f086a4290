// Says where a word stands in the documents, from an index. Where there is no index yet it makes one, says so and
// fails: whoever asks again is answered. So its first attempt fails for a reason that the second one does not have.
import { existsSync, readFileSync, readdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** EX_TEMPFAIL of BSD's sysexits.h: it may work later. */
const TRY_AGAIN = 75

const [asked = ''] = process.argv.slice(2)
const directory = process.env.SIGNALBOX_DEMO_DIR
if (directory === undefined) throw new Error('SIGNALBOX_DEMO_DIR has to name the directory of the index.')
const file = join(directory, 'word-index.json')

if (existsSync(file)) answer(JSON.parse(readFileSync(file, 'utf8')))
else makeIndex()

function answer(index) {
  const found = index[asked.toLowerCase()]
  if (found === undefined) throw new Error(`No document has the word «${asked}».`)
  const places = Object.entries(found).toSorted(([, a], [, b]) => b - a)
  for (const [document, count] of places.slice(0, 3)) console.log(`«${asked}» ${count} times in ${document}`)
}

function makeIndex() {
  const pages = readdirSync('docs', { recursive: true }).filter((name) => name.endsWith('.md'))
  const index = Object.create(null) // a word may be «constructor»
  for (const path of ['README.md', 'CHANGELOG.md', ...pages.map((name) => join('docs', name))]) {
    for (const [word] of readFileSync(path, 'utf8')
      .toLowerCase()
      .matchAll(/\p{L}+/gu)) {
      index[word] ??= {}
      index[word][path] = (index[word][path] ?? 0) + 1
    }
  }
  // Renamed into its place, so that nobody ever reads half of it.
  writeFileSync(`${file}.new`, JSON.stringify(index))
  renameSync(`${file}.new`, file)
  console.error('There was no index of the words yet. It is made now; ask again.')
  process.exitCode = TRY_AGAIN
}
