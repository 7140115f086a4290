import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
/** Inside the checkout, where its packages are found, and on a disk: a temporary directory may be memory. */
export const CACHE = join(ROOT, 'bench/.cache')

const PRODUCT = join(CACHE, 'build')
const NO_OP_PRODUCT = join(CACHE, 'build-no-op')

export interface Build {
  /** The servers and the client of this bench. */
  bench: (name: string) => string
  /** The product's own program, as `npm run build` makes it, and the same over a store that does nothing. */
  cli: { durable: string; 'no-op': string }
}

/** Compiles, because that is what is shipped, and because stripping types costs memory and time at every start. */
export function build(): Build {
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc')
  const { status, stdout } = spawnSync(
    process.execPath,
    [tsc, '-p', join(ROOT, 'bench/tsconfig.build.json')],
    {
      encoding: 'utf8',
    },
  )
  if (status !== 0) throw new Error(`the sources do not compile:\n${stdout}`)
  for (const name of ['package.json', 'migrations']) link(join('../../..', name), join(PRODUCT, name))
  rmSync(NO_OP_PRODUCT, { recursive: true, force: true })
  cpSync(PRODUCT, NO_OP_PRODUCT, { recursive: true, verbatimSymlinks: true })
  // The one difference between the two programs.
  const replaced = join(NO_OP_PRODUCT, 'src/store/sqlite/open.js')
  writeFileSync(replaced, "export * from '../../../bench/no-op-open.js'\n")
  return {
    bench: (name) => join(PRODUCT, 'bench', name),
    cli: { durable: join(PRODUCT, 'src/cli.js'), 'no-op': join(NO_OP_PRODUCT, 'src/cli.js') },
  }
}

function link(target: string, path: string): void {
  if (!existsSync(path)) symlinkSync(target, path)
}
