/** One message of a stream of server-sent events. */
export interface Message {
  /** The last id that was said, of this message or before; empty where there was none. */
  id: string
  data: string
}

/**
 * Reads `text/event-stream` (WHATWG HTML, 9.2.6). What is not closed by an empty line was not said whole, and is dropped:
 * whoever comes again behind the last id gets it then. A line that ends in a bare CR, which nobody writes, is not seen.
 */
export async function* messagesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Message> {
  const decoder = new TextDecoder()
  let rest = ''
  let id = ''
  let data: string[] = []
  for await (const chunk of chunks) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines.map((each) => each.replace(/\r$/, ''))) {
      if (line === '') {
        if (data.length > 0) yield { id, data: data.join('\n') }
        data = []
      } else if (line.startsWith('id:')) id = valueOf(line)
      else if (line.startsWith('data:')) data.push(valueOf(line))
    }
  }
}

/** What stands behind the colon; one space there is no part of it. */
const valueOf = (line: string): string => line.slice(line.indexOf(':') + 1).replace(/^ /, '')
