// Version 00 ends after its flags; later ones, but for ff, may go on after a hyphen.
const VALID =
  /^(?:00(?=.{53}$)|(?!00|ff)[0-9a-f]{2}(?=.{53}(?:-|$)))-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}/

/** W3C Trace Context §3.2: an invalid header starts a new trace; no header is no trace. */
export function traceparentOf(header: string | null, randomHex: (bytes: number) => string): string | null {
  if (header === null || (VALID.test(header) && header.length <= 512)) return header
  return `00-${randomHex(16)}-${randomHex(8)}-01`
}
