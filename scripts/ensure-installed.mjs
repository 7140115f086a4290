// Runs before `npm start`, `npm test` and the like, so that they work on a fresh clone and after a pull that
// moved the lockfile. It has to run on whatever Node the machine brings (18 and later): the Node that the
// project itself wants is one of the packages installed here.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

/** The packages that a lockfile lists, by path; none where there is no such file. */
function lockedPackages(file) {
  try {
    return JSON.parse(readFileSync(join(root, file), 'utf8')).packages
  } catch (error) {
    if (error.code === 'ENOENT') return {}
    throw error
  }
}

/**
 * Whether node_modules holds what the lockfile asks for. npm keeps its own list in node_modules and writes it
 * last, so a broken installation has none. The lists are compared, not the files' times: a checkout or a copy
 * changes those, and a needless installation pulls the packages away from under a running server.
 */
function isInstalled() {
  const installed = lockedPackages('node_modules/.package-lock.json')
  return Object.entries(lockedPackages('package-lock.json')).every(([path, wanted]) => {
    if (path === '') return true
    // Optional packages are mostly binaries for other machines, which npm leaves out.
    if (!installed[path]) return wanted.optional === true
    return installed[path].version === wanted.version
  })
}

/** Installs. What npm says goes to stderr: stdout belongs to the command that follows. */
function install() {
  process.stderr.write('The packages are missing or out of date: running npm ci (about half a minute).\n')
  // --include=dev, because NODE_ENV=production would leave out the Node that everything here runs on.
  // --loglevel=error, because an older Node brings a page of warnings that the installation makes untrue.
  const args = ['ci', '--include=dev', '--loglevel=error', '--no-audit', '--no-fund']
  const { error, status } = spawnSync('npm', args, {
    cwd: root,
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32', // there npm is a .cmd file, which only a shell starts
  })
  if (error) process.stderr.write(`npm ci could not be started: ${error.message}\n`)
  return status === 0
}

/** Whether `node`, as the command that follows will find it, runs TypeScript: 22.18 and later do. */
function isNodeRecent() {
  // npm puts node_modules/.bin first, so after an installation this very process is the Node to ask about.
  if (runsTypeScript(process.versions.node)) return true
  const { stdout } = spawnSync('node', ['-p', 'process.versions.node'], { encoding: 'utf8' })
  return runsTypeScript(stdout ?? '')
}

function runsTypeScript(version) {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major > 22 || (major === 22 && minor >= 18)
}

if (!isInstalled() && !install()) {
  process.exitCode = 1
} else if (!isNodeRecent()) {
  process.stderr.write(
    'Node 22.18 or later is needed, and the one that npm installs for this project is not there: its install ' +
      'script was not run. Run `npm rebuild node --ignore-scripts=false`, or use a later Node.\n',
  )
  process.exitCode = 1
}
