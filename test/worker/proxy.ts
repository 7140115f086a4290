import { type Server, createServer, request as httpRequest } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import type { ServerProcess } from '../support/process.ts'

/** What becomes of an answer, given the path that was asked; null breaks the connection. */
export type Answer = (path: string, body: string) => string | null | Promise<string | null>

const started = new Set<Server>()

/** For `afterEach`: breaks what is still open. */
export function endProxies(): void {
  for (const proxy of started) {
    proxy.close()
    proxy.closeAllConnections()
  }
  started.clear()
}

/** Passes requests on to the server, and gives what `answer` makes of its answers. */
export async function through(server: ServerProcess, answer: Answer): Promise<ServerProcess> {
  const proxy = createServer((incoming, outgoing) => {
    void (async () => {
      const { method, headers, url = '' } = incoming
      const onward = httpRequest(server.url + url, { method, headers }, (response) => {
        void buffer(response).then(async (body) => {
          const said = await answer(url, body.toString())
          if (said === null) return void incoming.socket.destroy()
          const { 'content-length': _length, ...kept } = response.headers
          outgoing.writeHead(response.statusCode ?? 0, kept).end(said)
        })
      })
      onward.on('error', () => incoming.socket.destroy()) // the server ends with the test
      onward.end(await buffer(incoming))
    })()
  })
  started.add(proxy)
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  return { ...server, url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}` }
}
