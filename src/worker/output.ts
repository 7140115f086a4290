import { closeSync, openSync, writeSync } from 'node:fs'
import { LIMITS } from '../contract/limits.ts'

/** The latest of what a program said, in the order in which it came, whichever of its streams it came from. */
export interface Latest {
  take(chunk: Buffer): void
  text(): string
}

/** What one stream of a program said, bounded in memory and on disk. */
export interface Output {
  take(chunk: Buffer): void
  /** The end of it, as text that the ledger takes. */
  tail(): string
  /** Bytes that came, and of those the ones that the file has not. */
  counts(): { bytes: number; dropped: number }
  close(): void
}

/** Beyond this a file grows no more; the rest is counted. */
export const FILE_BYTES = 16 * 1_024 * 1_024

/** A character whose bytes came apart, with the other stream between them, is U+FFFD. */
export function createLatest(): Latest {
  const last = lastBytes(LIMITS.live_output_bytes)
  return { take: last.take, text: () => textOf(last.bytes(), LIMITS.live_output_bytes) }
}

interface OutputOptions {
  /** Is given everything, too. */
  latest?: Latest
  file_bytes?: number
}

/** @param file is made anew, for its owner alone */
export function createOutput(file: string, { latest, file_bytes = FILE_BYTES }: OutputOptions = {}): Output {
  const descriptor = openSync(file, 'wx', 0o600)
  let bytes = 0
  let written = 0
  let isFull = false
  const last = lastBytes(LIMITS.tail_bytes)

  // Written at once: memory then holds one chunk, however fast the program is and however slow the disk.
  const write = (chunk: Buffer): void => {
    const part = chunk.subarray(0, file_bytes - written)
    try {
      // A disk that fills takes the beginning of a part, and refuses the rest.
      for (let done = 0; done < part.length;) {
        const more = writeSync(descriptor, part, done)
        done += more
        written += more
      }
    } catch {
      isFull = true // the disk: the program goes on, and what is missing is counted
    }
  }
  return {
    take(chunk) {
      bytes += chunk.length
      if (!isFull) write(chunk)
      last.take(chunk)
      latest?.take(chunk)
    },
    tail: () => textOf(last.bytes(), LIMITS.tail_bytes),
    counts: () => ({ bytes, dropped: bytes - written }),
    close() {
      closeSync(descriptor)
    },
  }
}

/** The end of a stream in a ring that is allocated once: what is loud makes no garbage. */
function lastBytes(size: number) {
  const ring = Buffer.alloc(size)
  let at = 0
  let isFull = false
  return {
    take(chunk: Buffer): void {
      const part = chunk.subarray(-size)
      const copied = part.copy(ring, at)
      part.copy(ring, 0, copied)
      isFull ||= at + part.length >= size
      at = (at + part.length) % size
    },
    bytes: () => (isFull ? Buffer.concat([ring.subarray(at), ring.subarray(0, at)]) : ring.subarray(0, at)),
  }
}

const REPLACEMENT = '\uFFFD'
const isContinuation = (byte: number): boolean => (byte & 0xc0) === 0x80

/**
 * Text of at most so many bytes in UTF-8 without NUL: what is no UTF-8 becomes U+FFFD. That is three bytes for one,
 * so the beginning is cut again, between two characters.
 */
export function textOf(bytes: Buffer, size: number): string {
  const whole = bytes.length < size ? bytes : bytes.subarray(firstCharacter(bytes))
  const text = Buffer.from(whole.toString('utf8').replaceAll('\0', REPLACEMENT), 'utf8')
  const cut = text.subarray(-size)
  return cut.subarray(cut.length < text.length ? firstCharacter(cut) : 0).toString('utf8')
}

/** The cut may have gone through a character, which has at most three bytes after its first. */
function firstCharacter(bytes: Buffer): number {
  const first = bytes.subarray(0, 4).findIndex((byte) => !isContinuation(byte))
  return Math.max(0, first)
}
