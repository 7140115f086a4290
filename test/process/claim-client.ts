import { randomFrom } from '../support/client.ts'
import { work } from './claimer.ts'

// A program: `claim-client.ts URL NAME SEED CLAIMERS TOOL…`. So many claimers work until the process is killed; it prints
// each of their words on a line.

const [url = '', name = '', seed, claimers, ...tools] = process.argv.slice(2)
await Promise.all(
  Array.from({ length: Number(claimers) }, (_, index) =>
    work({
      url,
      worker_id: `${name}-${index}`,
      tools,
      random: randomFrom(Number(seed) + index),
      say: (word) => void process.stdout.write(`${JSON.stringify(word)}\n`),
      now: () => Date.now(),
      isDone: () => false,
    }),
  ),
)
