import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, constants, openSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { afterEach, expect, it, vi } from 'vitest'
import { openDevice } from '../../src/worker/device.ts'
import { cleanUp, temporaryDirectory } from '../support/process.ts'

afterEach(cleanUp)

/** In place of a terminal: a pipe, which takes no more than it has room for either. */
function openPipe(said = { columns: 80, rows: 24 }) {
  const path = join(temporaryDirectory(), 'pipe')
  execFileSync('mkfifo', [path])
  const out = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  const stream = Object.assign(new PassThrough(), { fd: openSync(path, 'w'), ...said })
  const chunk = Buffer.alloc(1_000_003)
  return {
    stream,
    device: openDevice(stream),
    read: () => chunk.subarray(0, readSync(out, chunk)),
    stopReading: () => closeSync(out),
  }
}

it('takes a text piece by piece, whole and in order', async () => {
  const { device, read } = openPipe()
  const text = Array.from({ length: 50_000 }, (_, index) => `${index} ▶`).join('\n')
  let isTaken = false
  device.write(text, () => (isTaken = true))
  const parts: Buffer[] = []
  await vi.waitUntil(() => {
    if (!isTaken) parts.push(Buffer.from(readIfAny(read)))
    return isTaken
  })
  parts.push(Buffer.from(readIfAny(read)))
  expect(parts.length).toBeGreaterThan(2)
  expect(Buffer.concat(parts).toString()).toBe(text)
})

/** A pipe with nothing in it says EAGAIN. */
function readIfAny(read: () => Buffer): Buffer {
  try {
    return read()
  } catch {
    return Buffer.alloc(0)
  }
}

it('that nobody reads any more is an error of its stream', async () => {
  const { stream, device, stopReading } = openPipe()
  stopReading()
  const failed = once(stream, 'error')
  device.write('a line\n', () => expect.unreachable())
  expect(await failed).toMatchObject([{ code: 'EPIPE' }])
})

it.each([
  { columns: 0, rows: 0, size: { columns: 80, rows: 24 } },
  { columns: 132, rows: 50, size: { columns: 132, rows: 50 } },
])('says a size of $size where the terminal says $columns × $rows', ({ size, ...said }) => {
  expect(openPipe(said).device.size()).toEqual(size)
})
