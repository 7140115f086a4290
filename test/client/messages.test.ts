import { expect, it } from 'vitest'
import { type Message, messagesOf } from '../../src/client/messages.ts'

/** What is read of a stream that arrives in these pieces. */
async function read(...chunks: (string | Uint8Array)[]): Promise<Message[]> {
  const messages: Message[] = []
  const stream = ReadableStream.from(
    chunks.map((chunk) => (typeof chunk === 'string' ? new TextEncoder().encode(chunk) : chunk)),
  ) as AsyncIterable<Uint8Array>
  for await (const message of messagesOf(stream)) messages.push(message)
  return messages
}

it('reads messages with their ids, and nothing of what is none', async () => {
  const stream = 'retry: 3000\n\nid: 1\nevent: note\ndata: {"a":1}\n\n: still here\n\nid: 2\ndata: {}\n\n'
  expect(await read(stream)).toEqual([
    { id: '1', data: '{"a":1}' },
    { id: '2', data: '{}' },
  ])
})

it('reads the same however it is cut, also within a character', async () => {
  const bytes = new TextEncoder().encode('id: 7\ndata: «ü» 🛒\n\n')
  const bits = Array.from(bytes, (byte) => Uint8Array.of(byte))
  expect(await read(...bits)).toEqual([{ id: '7', data: '«ü» 🛒' }])
})

it('leaves out a message that was not said whole', async () => {
  expect(await read('id: 1\ndata: whole\n\nid: 2\ndata: cut off\n')).toEqual([{ id: '1', data: 'whole' }])
})

it('takes CR LF, data of several lines, and a value without a space', async () => {
  expect(await read('id:1\r\ndata:one\r\ndata: two\r\n\r\n')).toEqual([{ id: '1', data: 'one\ntwo' }])
})
