import { createHash, randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { hashKey, KEY_ID_PATTERN, newKey, parseKey } from '../src/keys.ts'

const SECRET = 'A'.repeat(43)

describe('a new key', () => {
  it('is sbx_<id>_<secret> with a secret of 256 bits', () => {
    const { key, entry } = newKey({ scopes: ['read'], randomBytes })
    const secret = key.slice(`sbx_${entry.id}_`.length)
    expect(key.startsWith(`sbx_${entry.id}_`)).toBe(true)
    expect(Buffer.from(secret, 'base64url')).toHaveLength(32)
    expect(entry.id).toMatch(new RegExp(KEY_ID_PATTERN))
  })

  it('comes with an entry that holds the SHA-256 of the whole key, and not the key', () => {
    const { key, entry } = newKey({ scopes: ['read', 'write'], randomBytes })
    expect(entry).toEqual({
      id: parseKey(key)?.id,
      sha256: createHash('sha256').update(key, 'utf8').digest('hex'),
      scopes: ['read', 'write'],
    })
  })

  it('is bound to projects only when some are named', () => {
    expect(newKey({ scopes: ['read'], projects: ['a'], randomBytes }).entry.projects).toEqual(['a'])
    expect(newKey({ scopes: ['read'], randomBytes }).entry).not.toHaveProperty('projects')
  })

  it('takes all its randomness from what it is given', () => {
    const zeros = (size: number) => Buffer.alloc(size)
    expect(newKey({ scopes: ['read'], randomBytes: zeros }).key).toBe(`sbx_0000000000_${SECRET}`)
  })

  it('is different every time', () => {
    const keys = Array.from({ length: 100 }, () => newKey({ scopes: ['read'], randomBytes }))
    expect(new Set(keys.map(({ key }) => key)).size).toBe(100)
    expect(new Set(keys.map(({ entry }) => entry.id)).size).toBe(100)
  })
})

describe('parseKey', () => {
  it('ends the id at the first underscore: the secret may hold more of them', () => {
    expect(parseKey(`sbx_ci_${'_'.repeat(43)}`)).toEqual({ id: 'ci' })
  })

  it.each([
    ['another prefix', `sbk_ci_${SECRET}`],
    ['no id', `sbx__${SECRET}`],
    ['a capital in the id', `sbx_Ci_${SECRET}`],
    ['an underscore in the id', `sbx_a_b_${SECRET}`],
    ['a short secret', `sbx_ci_${SECRET.slice(1)}`],
    ['a long secret', `sbx_ci_${SECRET}A`],
    ['a character that base64url does not have', `sbx_ci_${SECRET.slice(1)}+`],
    ['a line break at the end', `sbx_ci_${SECRET}\n`],
    ['text before it', `Bearer sbx_ci_${SECRET}`],
    ['nothing', ''],
  ])('finds no key in a text with %s', (_fault, text) => {
    expect(parseKey(text)).toBeNull()
  })
})

describe('hashKey', () => {
  it('is plain SHA-256 in lower-case hex, so that sha256sum gives the same', () => {
    expect(hashKey('abc')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
  })
})
