import { PassThrough } from 'node:stream'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { columnsOf } from '../../src/worker/columns.ts'
import type { ClaimedRequest } from '../../src/contract/dispatch.ts'
import type { Device } from '../../src/worker/device.ts'
import { KEPT_MESSAGES, jsonLines, terminal } from '../../src/worker/terminal.ts'
import type { Running } from '../../src/worker/worker.ts'

const NOW = () => '2026-01-05T09:30:00.000Z'

/** What a person sees at last: the cursor moves up and clears, and nothing else. */
class Paper implements Device {
  lines: string[] = ['']
  size = () => this.#size
  onResize = (listener: () => void): void => void (this.#resized = listener)
  #size = { columns: 80, rows: 24 }
  #resized = (): void => {}
  #at = 0
  #isFrozen = false
  #waiting = (): void => {}

  resize(size: { columns: number; rows: number }): void {
    this.#size = size
    this.#resized()
  }

  write(text: string, taken: () => void): void {
    const take = (): void => {
      for (const part of text.split(/(\x1b\[\d+[AJ]|\r|\n)/)) this.#draw(part)
      taken()
    }
    if (this.#isFrozen) this.#waiting = take
    else take()
  }

  close(): void {
    this.#waiting = () => {}
  }

  freeze(): void {
    this.#isFrozen = true
  }

  thaw(): void {
    this.#isFrozen = false
    this.#waiting()
  }

  /** No cursor goes back to what has left the screen. */
  #top = (): number => Math.max(0, this.lines.length - this.#size.rows)

  #draw(part: string): void {
    const up = /^\x1b\[(\d+)A$/.exec(part)
    if (up !== null) this.#at = Math.max(this.#at - Number(up[1]), this.#top())
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

  it('each slot has a line with its elapsed time, below what happened', async () => {
    const paper = new Paper()
    const screen = terminal(paper, NOW, 2)
    const slots = new Set([running('basket')])
    screen.log('info', 'working', { server: 'http://127.0.0.1:8710', tools: ['eslint'] })
    screen.show(slots)
    vi.advanceTimersByTime(65_000)
    expect(paper.lines).toEqual([
      '09:30:00 working server=http://127.0.0.1:8710',
      '  ▶ 01:05  eslint  lint basket  01JD8Z6V5NC4X8Y2Z6A0B4C8D2',
      '  · idle',
      '',
    ])
    slots.clear()
    screen.log('warn', 'lost the lease', { reason: 'away' })
    await screen.close()
    expect(paper.lines).toEqual([
      '09:30:00 working server=http://127.0.0.1:8710',
      '09:30:00 warn: lost the lease reason=away',
      '',
    ])
  })

  it('no name moves the cursor, and no line wraps', () => {
    const paper = new Paper()
    terminal(paper, NOW, 1).show(new Set([running(`\x1b[2J\n${'x'.repeat(200)}`)]))
    expect(paper.lines[0]).toContain('lint ?[2J?xxx')
    expect(paper.lines[0]!.length).toBeLessThan(80)
  })

  it('a line of wide characters is as wide as another', () => {
    const paper = new Paper()
    terminal(paper, NOW, 1).show(new Set([running('買い物🧺'.repeat(20))]))
    expect(paper.lines[0]).toContain('lint 買い物🧺買い物🧺')
    expect([78, 79]).toContain(columnsOf(paper.lines[0]!))
  })
})

describe('a terminal with fewer rows than slots', () => {
  const few = (rows: number, tasks: string[]) => {
    const paper = new Paper()
    paper.resize({ columns: 80, rows })
    const screen = terminal(paper, NOW, 12)
    screen.show(new Set(tasks.map(running)))
    return { paper, screen }
  }
  const tasks = (lines: string[]) => lines.map((line) => /lint (\S+)/.exec(line)?.[1] ?? line)

  it('shows what runs, and how many slots it does not show', () => {
    const { paper } = few(6, ['a', 'b', 'c'])
    expect(tasks(paper.lines)).toEqual(['a', 'b', 'c', '  · idle', '  … and 8 more', ''])
  })

  it('scrolls by nothing but what happened', () => {
    const { paper, screen } = few(3, ['a', 'b'])
    for (let i = 0; i < 5; i++) screen.log('info', `line ${i}`)
    expect(tasks(paper.lines)).toEqual([
      ...[0, 1, 2, 3, 4].map((i) => `09:30:00 line ${i}`),
      'a',
      '  … and 11 more',
      '',
    ])
  })

  it('shows more when it gets larger, and less when it gets smaller', () => {
    const { paper } = few(4, ['a', 'b', 'c'])
    paper.resize({ columns: 80, rows: 5 })
    expect(tasks(paper.lines)).toEqual(['a', 'b', 'c', '  … and 9 more', ''])
    paper.resize({ columns: 80, rows: 13 })
    expect(paper.lines).toHaveLength(13)
    paper.resize({ columns: 80, rows: 2 })
    expect(tasks(paper.lines.slice(-2))).toEqual(['  … and 12 more', ''])
  })

  it('has no room for the view in a single row', () => {
    const { paper, screen } = few(1, ['a'])
    screen.log('info', 'one')
    expect(paper.lines).toEqual(['09:30:00 one', ''])
  })
})

describe('a terminal that stands still', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] }))
  afterEach(() => void vi.useRealTimers())

  const frozen = () => {
    const paper = new Paper()
    const screen = terminal(paper, NOW, 1)
    paper.freeze()
    return { paper, screen }
  }

  it('shows what happened meanwhile in its order, and what runs as it is now', () => {
    const { paper, screen } = frozen()
    screen.log('info', 'one')
    screen.show(new Set([running('basket')]))
    screen.log('info', 'two')
    vi.advanceTimersByTime(65_000)
    screen.log('info', 'three')
    paper.thaw()
    expect(paper.lines).toEqual([
      '09:30:00 one',
      '09:30:00 two',
      '09:30:00 three',
      expect.stringContaining('▶ 01:05  eslint  lint basket'),
      '',
    ])
  })

  it('has the oldest left out, and says so, where too much happened', () => {
    const { paper, screen } = frozen()
    const last = KEPT_MESSAGES + 3 // the first is under way already
    for (let i = 0; i <= last; i++) screen.log('info', `line ${i}`)
    paper.thaw()
    expect(paper.lines).toHaveLength(KEPT_MESSAGES + 4)
    expect(paper.lines.slice(0, 3)).toEqual(['09:30:00 line 0', '… 3 lines left out', '09:30:00 line 4'])
    expect(paper.lines.at(-3)).toBe(`09:30:00 line ${last}`)
  })

  it('does not hold up the end', async () => {
    const { paper, screen } = frozen()
    screen.log('info', 'one')
    await screen.close()
    paper.thaw()
    expect(paper.lines).toEqual([''])
  })
})

describe('elsewhere', () => {
  it('what happened is a JSON object in a line', () => {
    const stream = new PassThrough({ encoding: 'utf8' })
    jsonLines(stream, NOW).log('info', 'started', { tool_id: 'eslint' })
    expect(JSON.parse(stream.read() as string)).toEqual({
      level: 'info',
      time: NOW(),
      msg: 'started',
      tool_id: 'eslint',
    })
  })
})
