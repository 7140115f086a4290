import { expect } from 'vitest'

export interface Sample {
  name: string
  labels: Record<string, string>
  value: number
}

/** What `/metrics` said. */
export interface Scrape {
  samples: Sample[]
  /** By the name of the family: `HELP` and `TYPE`. */
  families: Map<string, { help: string; type: string }>
  /** The value of the series with exactly these labels; undefined if there is none. */
  value(name: string, labels?: Record<string, string>): number | undefined
  /** The series of this name, each as its labels and its value. */
  series(name: string): [labels: Record<string, string>, value: number][]
}

const LINE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"(?:,|$)/y

/** Reads the text format of Prometheus, and is strict about it. */
export function readMetrics(text: string): Scrape {
  const families: Scrape['families'] = new Map()
  const samples: Sample[] = []
  expect(text.endsWith('\n')).toBe(true)
  for (const line of text.split('\n').filter((line) => line !== '')) {
    const [, word, name = '', said = ''] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? []
    const family = families.get(name) ?? { help: '', type: '' }
    if (word === 'HELP') families.set(name, { ...family, help: said })
    else if (word === 'TYPE') families.set(name, { ...family, type: said })
    else samples.push(sampleOf(line))
  }
  const series: Scrape['series'] = (name) =>
    samples.filter((sample) => sample.name === name).map(({ labels, value }) => [labels, value])
  const keyOf = (labels: Record<string, string>) => JSON.stringify(Object.entries(labels).toSorted())
  return {
    samples,
    families,
    series,
    value: (name, labels = {}) => series(name).find(([known]) => keyOf(known) === keyOf(labels))?.[1],
  }
}

function sampleOf(line: string): Sample {
  const [, name, inner = '', value] = LINE.exec(line) ?? []
  if (name === undefined) throw new Error(`this is no sample: ${line}`)
  const labels: Record<string, string> = {}
  LABEL.lastIndex = 0
  while (LABEL.lastIndex < inner.length) {
    const [, label, text] = LABEL.exec(inner) ?? []
    if (label === undefined || text === undefined) throw new Error(`these are no labels: ${inner}`)
    labels[label] = text
  }
  return { name, labels, value: Number(value) }
}
