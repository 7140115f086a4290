import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { ROOT, cleanUp, refusedServer, startServer, temporaryDirectory } from '../support/process.ts'
import { startLoad } from './load.ts'

// Starting processes takes long where the machine is busy; whatever is waited for has its own bound.
vi.setConfig({ testTimeout: 60_000 })

// Only the connection that writes knows how it writes, and losing power is not for a test. So a module that is
// loaded before the server looks at that very connection, or changes it behind the server's back.

let data_dir: string

beforeEach(() => {
  data_dir = temporaryDirectory()
})
afterEach(cleanUp)

const DRIVER = pathToFileURL(join(ROOT, 'node_modules/better-sqlite3/lib/index.js'))

/** Arguments of Node that run `code` first, where `pragma` is the driver's own and can be replaced. */
const first = (code: string): string[] => {
  const module = `
    import Database from ${JSON.stringify(DRIVER)}
    const { pragma } = Database.prototype
    ${code}`
  return ['--import', `data:text/javascript,${encodeURIComponent(module)}`]
}

const REMEMBER_WRITER = `
  let writer
  Database.prototype.pragma = function (text, options) {
    if (text === 'synchronous = FULL') writer = this
    return pragma.call(this, text, options)
  }`

describe('synchronous=FULL', () => {
  it('is what the connection that writes has under load, time and again', async () => {
    const probe = `${REMEMBER_WRITER}
      let count = 0
      process.on('SIGWINCH', () => {
        const level = writer.pragma('synchronous', { simple: true })
        console.log(JSON.stringify({ msg: 'level ' + ++count, level }))
      })`
    const server = await startServer({ data_dir, node: first(probe) })
    const load = startLoad(server)
    for (const count of [1, 2, 3]) {
      await load.reaches(count * 300)
      server.signal('SIGWINCH')
      expect(await server.logged(`level ${count}`)).toMatchObject({ level: 2 })
    }
    await load.stop()
    expect(await server.stop()).toEqual({ code: 0, signal: null })
  })

  it('is demanded at the start: without it nothing is served', async () => {
    // What the driver does with WAL unless told otherwise.
    const deaf = `Database.prototype.pragma = function (text, options) {
      return text === 'synchronous = FULL' ? [] : pragma.call(this, text, options)
    }`
    const { code, stdout, stderr } = await refusedServer({ data_dir, node: first(deaf) })
    expect(code).toBe(1)
    expect(stdout).not.toContain('serving')
    expect(stderr).toMatch(/^signalbox: SQLite runs at synchronous=1 instead of 2 \(FULL\): .*\n$/)
  })

  it('is read back while the server writes: one that lost it stops with 1', async () => {
    const saboteur = `${REMEMBER_WRITER}
      process.on('SIGWINCH', () => pragma.call(writer, 'synchronous = NORMAL'))`
    const server = await startServer({ data_dir, node: first(saboteur) })
    const load = startLoad(server)
    await load.reaches(100)
    const fatal = server.logged('the server stops after an error')
    server.signal('SIGWINCH')
    const message = expect.stringContaining('synchronous=1 instead of 2') as string
    expect(await fatal).toMatchObject({ level: 60, err: { message } })
    expect(await server.exited).toEqual({ code: 1, signal: null })
    await load.ended
  })
})
