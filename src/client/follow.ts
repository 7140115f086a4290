import { type Connection, Unanswered } from './connection.ts'
import type { Message } from './messages.ts'
import { backOff } from './patience.ts'
import { pause } from './pause.ts'

export interface FollowOptions {
  path: string
  /** Begin behind the event with this `seq`. */
  after: number
  /** The connection was lost, and could not be had again at once. */
  onLost?: (error: Unanswered) => void
  /** After that, there is one again. */
  onBack?: () => void
}

/**
 * Every event behind `after`, each once: where a stream ends, the next one begins behind the last event that came whole.
 * Ends where the server says that there is nothing to come.
 * @throws Refused; Unanswered only where there never was a connection
 */
export async function* follow(connection: Connection, options: FollowOptions): AsyncGenerator<Message> {
  const { path, after, onLost, onBack } = options
  let last_id = String(after)
  let hasBegun = false
  let isLost = false
  for (let failures = 0; ;) {
    let lost = new Unanswered('the stream has ended')
    try {
      const messages = await connection.stream(path, last_id)
      if (isLost) onBack?.()
      isLost = false
      if (messages === null) return
      hasBegun = true
      for await (const message of messages) {
        failures = -1
        last_id = message.id
        yield message
      }
    } catch (error) {
      if (!(error instanceof Unanswered) || !hasBegun) throw error
      lost = error
    }
    // A stream that brought something is asked for again at once: behind the end of a run that gives its answer.
    failures += 1
    if (failures === 0) continue
    if (!isLost) onLost?.(lost)
    isLost = true
    await pause(backOff(failures, lost))
  }
}
