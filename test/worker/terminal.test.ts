import { Writable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { ClaimedRequest } from '../../src/contract/dispatch.ts'
import { jsonLines, terminal } from '../../src/worker/terminal.ts'
import type { Running } from '../../src/worker/worker.ts'

const NOW = () => '2026-01-05T09:30:00.000Z'

/** What a person sees at last: the cursor moves up and clears, and nothing else. */
class Screen extends Writable {
  columns = 80
  lines: string[] = ['']

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    for (const part of chunk.toString().split(/(\x1b\[\d+[AJ]|\r|\n)/)) this.#draw(part)
    done()
  }

  #at = 0

  #draw(part: string): void {
    const up = /^\x1b\[(\d+)A$/.exec(part)
    if (up !== null) this.#at -= Number(up[1])
    else if (part === '\x1b[0J') this.lines.splice(this.#at, Infinity, '')
    else if (part === '\n') this.lines[++this.#at] ??= ''
    else if (part !== '\r') this.lines[this.#at] += part
  }
}

const running = (task_id: string | null): Running => {
  const claimed = {
    execution_request: { request_id: '01JD8Z6V5NC4X8Y2Z6A0B4C8D2', task_kind: 'lint', task_id },
    step_attempt: { tool_id: 'eslint' },
  } as ClaimedRequest // what a line shows of it
  const attempt = { ended: new Promise<never>(() => {}), output: () => '', end: () => {}, kill: () => {} }
  return { claimed, attempt }
}

describe('at a terminal', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] }))
  afterEach(() => void vi.useRealTimers())

  it('each slot has a line with its elapsed time, below what happened', () => {
    const stream = new Screen()
    const screen = terminal(stream as never, NOW, 2)
    const slots = new Set([running('basket')])
    screen.log('info', 'working', { server: 'http://127.0.0.1:8710', tools: ['eslint'] })
    screen.show(slots)
    vi.advanceTimersByTime(65_000)
    expect(stream.lines).toEqual([
      '09:30:00 working server=http://127.0.0.1:8710',
      '  ▶ 01:05  eslint  lint basket  01JD8Z6V5NC4X8Y2Z6A0B4C8D2',
      '  · idle',
      '',
    ])
    slots.clear()
    screen.log('warn', 'lost the lease', { reason: 'away' })
    screen.close()
    expect(stream.lines).toEqual([
      '09:30:00 working server=http://127.0.0.1:8710',
      '09:30:00 warn: lost the lease reason=away',
      '',
    ])
  })

  it('no name moves the cursor, and no line wraps', () => {
    const stream = new Screen()
    terminal(stream as never, NOW, 1).show(new Set([running(`\x1b[2J\n${'x'.repeat(200)}`)]))
    expect(stream.lines[0]).toContain('lint ?[2J?xxx')
    expect(stream.lines[0]!.length).toBeLessThan(80)
  })
})

describe('elsewhere', () => {
  it('what happened is a JSON object in a line', () => {
    const stream = new Screen()
    jsonLines(stream, NOW).log('info', 'started', { tool_id: 'eslint' })
    expect(JSON.parse(stream.lines[0]!)).toEqual({
      level: 'info',
      time: NOW(),
      msg: 'started',
      tool_id: 'eslint',
    })
  })
})
