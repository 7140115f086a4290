import { connect } from 'node:net'

export interface Reply {
  status: number
  /** Status line and headers, each with its line end. */
  head: string
  /** Bytes of the body. */
  length: number
  /** Empty unless bodies are read. */
  body: string
}

export interface Wire {
  send(text: string): void
  /** Closes it; settles when it is closed. */
  close(): Promise<void>
}

const READ_BYTES = 65_536
/** Far more than the headers of any answer. */
const HEAD_BYTES = 2_048

/**
 * A keep-alive connection with one request in flight. It understands what our server sends and no more: every
 * answer has a Content-Length, and nothing comes unasked.
 */
export function openWire(
  port: number,
  on: { reply: (reply: Reply) => void; error: (error: Error) => void },
  { reads_bodies }: { reads_bodies: boolean },
): Promise<Wire> {
  const take = createReader(on.reply, reads_bodies)
  const buffer = Buffer.allocUnsafe(READ_BYTES)
  // Reading into one buffer leaves out Node's stream machinery, which would cost more than everything else.
  const onread = { buffer, callback: (bytes: number) => take(buffer, bytes) }
  const socket = connect({ port, host: '127.0.0.1', noDelay: true, onread })
  let closing = false
  const closed = new Promise<void>((resolve) => {
    socket.once('close', () => {
      if (!closing) on.error(new Error('the server closed a connection'))
      resolve()
    })
  })
  socket.on('error', on.error)
  const wire: Wire = {
    send: (text) => void socket.write(text, 'latin1'),
    close() {
      closing = true
      socket.end()
      return closed
    },
  }
  return new Promise((resolve) => socket.once('connect', () => resolve(wire)))
}

/** Cuts what arrives into replies. The body is counted, and read only where the next request depends on it. */
function createReader(
  onReply: (reply: Reply) => void,
  reads_bodies: boolean,
): (buffer: Buffer, bytes: number) => boolean {
  let head = ''
  let body = ''
  let received = 0
  let total = 0 // unknown while 0
  let length = 0
  return (buffer, bytes) => {
    received += bytes
    if (total === 0) {
      head += buffer.toString('latin1', 0, reads_bodies ? bytes : Math.min(bytes, HEAD_BYTES))
      const end = head.indexOf('\r\n\r\n')
      if (end === -1) return true
      if (reads_bodies) body = head.slice(end + 4)
      head = head.slice(0, end + 2)
      length = lengthIn(head)
      total = end + 4 + length
    } else if (reads_bodies) body += buffer.toString('latin1', 0, bytes)
    if (received < total) return true
    const reply = { status: Number(head.slice(9, 12)), head, length, body }
    head = body = ''
    received = total = 0
    onReply(reply)
    return true
  }
}

const LENGTH = 'content-length: '
const NOTHING = 'HTTP/1.1 204'

function lengthIn(head: string): number {
  if (head.startsWith(NOTHING)) return 0
  const at = head.indexOf(LENGTH)
  if (at === -1) throw new Error(`an answer without Content-Length: ${head}`)
  const start = at + LENGTH.length
  return Number(head.slice(start, head.indexOf('\r\n', start)))
}
