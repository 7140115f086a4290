import { describe, expect, it } from 'vitest'
import { type Place, createWaiters } from '../../src/orchestrator/waiters.ts'

const NEVER = new AbortController().signal
const LONG = 60_000

/** A line of waiters, each for its tools, and who was hinted: asked without waiting. */
function aLine(...wanted: string[][]) {
  const waiters = createWaiters()
  const places = wanted.map((tools) => waiters.join(new Set(tools)))
  const hinted = (): Promise<boolean[]> => Promise.all(places.map(isHinted))
  return { waiters, places, hinted }
}

/** What has no hint would wait: in the next turn it is taken for a no. */
async function isHinted(place: Place): Promise<boolean> {
  const tired = new AbortController()
  setImmediate(() => tired.abort())
  return place.wait(LONG, tired.signal)
}

describe('an offer', () => {
  it('wakes the first that waits for the tool, and nobody else', async () => {
    const { waiters, hinted } = aLine(['a'], ['b'], ['a', 'b'])
    waiters.offer('b')
    expect(await hinted()).toEqual([false, true, false])
  })

  it('wakes the next where the first has not yet heard its own', async () => {
    const { waiters, hinted } = aLine(['a'], ['a'], ['a'])
    waiters.offer('a')
    waiters.offer('a')
    expect(await hinted()).toEqual([true, true, false])
  })

  it('of what nobody wants is lost', async () => {
    const { waiters, hinted } = aLine(['a'])
    waiters.offer('b')
    expect(await hinted()).toEqual([false])
  })

  it('to all wakes all', async () => {
    const { waiters, hinted } = aLine(['a'], ['b'])
    waiters.offerAll()
    expect(await hinted()).toEqual([true, true])
  })
})

describe('whoever looks', () => {
  it('has heard the hint, and keeps its place', async () => {
    const { waiters, places, hinted } = aLine(['a'], ['a'])
    waiters.offer('a')
    places[0]!.look()
    places[0]!.took('a')
    expect(await hinted()).toEqual([false, false])
    waiters.offer('a')
    expect(await hinted()).toEqual([true, false])
  })

  it('hears what is offered while it looks', async () => {
    const { waiters, places } = aLine(['a'])
    places[0]!.look()
    waiters.offer('a')
    expect(await places[0]!.wait(LONG, NEVER)).toBe(true)
  })

  it('and finds nothing that it can take passes the hint to those behind it, once', async () => {
    const { waiters, places, hinted } = aLine(['a'], ['a'], ['b'], ['a'])
    waiters.offer('a')
    places[0]!.look()
    places[0]!.pass()
    places[0]!.pass()
    expect(await hinted()).toEqual([false, true, false, false])
    places[1]!.look()
    places[1]!.pass()
    expect(await hinted()).toEqual([false, false, false, true])
  })
})

describe('whoever leaves', () => {
  it('leaves what it has not heard to the first', async () => {
    const { waiters, places, hinted } = aLine(['a'], ['a'], ['a'])
    waiters.offer('a')
    waiters.offer('a')
    places[0]!.look()
    places[0]!.took('a')
    places[1]!.leave()
    expect(await hinted()).toEqual([true, false, false])
  })

  it('leaves what it has heard and not taken, as after an error', async () => {
    const { waiters, places, hinted } = aLine(['a'], ['a'])
    waiters.offer('a')
    places[0]!.look()
    places[0]!.leave()
    expect(await hinted()).toEqual([false, true])
  })

  it('leaves the item it was hinted, where it took one for another tool', async () => {
    const { waiters, places, hinted } = aLine(['a', 'b'], ['a'])
    waiters.offer('a')
    places[0]!.look()
    places[0]!.took('b')
    places[0]!.leave()
    expect(await hinted()).toEqual([false, true])
  })

  it('leaves nothing where it took it', async () => {
    const { waiters, places, hinted } = aLine(['a'], ['a'])
    waiters.offer('a')
    places[0]!.look()
    places[0]!.took('a')
    places[0]!.leave()
    expect(await hinted()).toEqual([false, false])
  })
})

describe('waiting', () => {
  it('ends with the hint', async () => {
    const { waiters, places } = aLine(['a'])
    const waited = places[0]!.wait(LONG, NEVER)
    waiters.offer('a')
    expect(await waited).toBe(true)
  })

  it.each([1, 0, -1])('ends with its time: %i ms', async (ms) => {
    const { places } = aLine(['a'])
    expect(await places[0]!.wait(ms, NEVER)).toBe(false)
  })

  it('ends with the signal, also one that came before, and leaves no timer', async () => {
    const { places } = aLine(['a'])
    const gone = new AbortController()
    const before = process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
    const waited = places[0]!.wait(LONG, gone.signal)
    gone.abort()
    expect(await waited).toBe(false)
    expect(await places[0]!.wait(LONG, gone.signal)).toBe(false)
    const after = process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
    expect(after).toBeLessThanOrEqual(before)
  })

  it('leaves to others a hint that came for one that is gone', async () => {
    const { waiters, places, hinted } = aLine(['a'], ['a'])
    waiters.offer('a')
    expect(await places[0]!.wait(LONG, AbortSignal.abort())).toBe(false)
    places[0]!.leave()
    expect(await hinted()).toEqual([false, true])
  })

  it('ends for all when the line is closed, and is over for those who come later', async () => {
    const { waiters, places } = aLine(['a'], ['b'])
    const waited = places.map((place) => place.wait(LONG, NEVER))
    waiters.close()
    expect(await Promise.all(waited)).toEqual([false, false])
    const late = waiters.join(new Set(['a']))
    waiters.offer('a')
    expect(await late.wait(LONG, NEVER)).toBe(false)
  })
})
