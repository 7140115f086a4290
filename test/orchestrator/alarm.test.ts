import { beforeEach, describe, expect, it, vi } from 'vitest'
import { startAlarm } from '../../src/orchestrator/alarm.ts'
import { NOW, after, handClock } from '../support/given.ts'

const DAY = 86_400_000

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  return () => void vi.useRealTimers()
})

/** An alarm whose sweeps answer what the test says, and note when they were. */
async function started(answers: (string | null | Error | (() => string))[] = []) {
  const { clock, advance } = handClock()
  const swept: number[] = []
  const errors: unknown[] = []
  const alarm = startAlarm({
    clock,
    sweep: async () => {
      swept.push(clock().ms - Date.parse(NOW))
      const answer = answers.shift() ?? null
      if (answer instanceof Error) throw answer
      return typeof answer === 'function' ? answer() : answer
    },
    onError: (error) => void errors.push(error),
  })
  const pass = async (ms: number) => {
    advance(ms)
    await vi.advanceTimersByTimeAsync(ms)
  }
  await pass(0)
  return { alarm, swept, errors, pass, step: advance }
}

const at = (ms: number): string => after(NOW, ms)

describe('the alarm', () => {
  it('sweeps at once when it starts, and then has no timer while nothing will happen', async () => {
    const { swept, pass } = await started()
    expect([swept, vi.getTimerCount()]).toEqual([[0], 0])
    await pass(DAY)
    expect(swept).toEqual([0])
  })

  it('rings at the instant that the sweep names, and that a commit names', async () => {
    const { alarm, swept, pass } = await started([at(500), null])
    await pass(499)
    expect(swept).toEqual([0])
    await pass(1)
    expect(swept).toEqual([0, 500])
    alarm.at(at(700))
    await pass(200)
    expect(swept).toEqual([0, 500, 700])
  })

  it('has one timer, for the nearest instant', async () => {
    const { alarm, swept, pass } = await started()
    for (const ms of [300, 100, 200]) alarm.at(at(ms))
    expect(vi.getTimerCount()).toBe(1)
    await pass(100)
    expect(swept).toEqual([0, 100])
  })

  it('rings at once for what is over', async () => {
    const { alarm, swept, pass } = await started()
    alarm.at(at(-5))
    await pass(0)
    expect(swept).toEqual([0, 0])
  })

  it('keeps what comes while it sweeps, where it is earlier than what the sweep says', async () => {
    const during = (): string => {
      alarm.at(at(400))
      alarm.at(at(600))
      return at(900)
    }
    const { alarm, swept, pass } = await started([null, during, null])
    alarm.at(at(100))
    await pass(100)
    expect(vi.getTimerCount()).toBe(1)
    await pass(300)
    expect(swept).toEqual([0, 100, 400])
  })

  it('tries again after a second where a sweep fails, and says so', async () => {
    const error = new Error('busy')
    const { swept, errors, pass } = await started([error, error, null])
    await pass(999)
    expect(swept).toEqual([0])
    await pass(1)
    await pass(1_000)
    expect([swept, errors]).toEqual([
      [0, 1_000, 2_000],
      [error, error],
    ])
    expect(vi.getTimerCount()).toBe(0)
  })

  it('looks at the clock every second, and rings when it is time and not before', async () => {
    const { alarm, swept, pass } = await started()
    alarm.at(at(5_300))
    for (const ms of [1_000, 1_000, 1_000, 1_000, 1_000, 299]) await pass(ms)
    expect([swept, vi.getTimerCount()]).toEqual([[0], 1])
    await pass(1)
    expect(swept).toEqual([0, 5_300])
  })

  it('rings within a second of a step of the clock over the instant', async () => {
    const { alarm, swept, pass, step } = await started()
    alarm.at(at(3_600_000))
    await pass(10)
    step(DAY)
    await pass(1_000)
    expect(swept).toHaveLength(2)
  })

  it('does nothing more when it was stopped', async () => {
    const { alarm, swept, pass } = await started([at(100)])
    alarm.stop()
    alarm.at(at(50))
    await pass(DAY)
    expect([swept, vi.getTimerCount()]).toEqual([[0], 0])
  })
})
