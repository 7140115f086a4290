/** A JSON pointer as a URI fragment (RFC 6901 §6, without percent-encoding): `#/apps/aider`. */
export const pointerTo = (...path: readonly (string | number)[]): string =>
  `#${path.map((step) => `/${String(step).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')}`
