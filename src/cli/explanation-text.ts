import type { ExplainResult, RouteAlternative, RouteEdit, RouteEditKind } from '../contract/route-explain.ts'
import type { CandidateVerdict, RuleVerdict } from '../contract/route-verdict.ts'
import { labeled, printable } from './layout.ts'
import type { Output, Style } from './output.ts'

const WIDTH = 100
const INDENT = 4

/** The decision in the server's words, and what would change it. */
export function explanationLines(explained: ExplainResult, output: Output): string[] {
  const { sentences, rules, candidates, validate_with, rule_id, alternatives, config_version } = explained
  const { paint } = output
  const width = Math.min(WIDTH, output.width ?? WIDTH)
  const sentence = (mark: string, style: Style, text: string): string[] =>
    labeled(mark, printable(text), { width, indent: INDENT }).map((line) => paint(style, line))
  return [
    paint('bold', printable(sentences.summary)),
    ...validate_with.map((tool_id) => printable(`Rule ${rule_id} validates the work with ${tool_id}.`)),
    ...titled(`Rules of configuration ${config_version}`, paint),
    ...rules.flatMap((rule, index) => sentence(...lookOfRule(rule), sentences.rules[index] ?? rule.rule_id)),
    ...titled('Tools', paint),
    ...candidates.flatMap((tool, index) =>
      sentence(...lookOfTool(tool), sentences.candidates[index] ?? tool.tool_id),
    ),
    ...(alternatives.length === 0 ? [] : titled('What would change it', paint)),
    ...alternativeTexts(alternatives).flatMap((text) => sentence('·', 'none', text)),
  ]
}

const titled = (title: string, paint: Output['paint']): string[] => ['', paint('bold', title)]

function lookOfRule({ verdict }: RuleVerdict): [string, Style] {
  if (verdict === 'decided') return ['✓', 'green']
  return verdict === 'unroutable' ? ['✗', 'red'] : ['·', 'dim']
}

function lookOfTool({ eligible, reason_codes }: CandidateVerdict): [string, Style] {
  if (reason_codes.includes('chosen')) return ['✓', 'green']
  return eligible ? ['·', 'none'] : ['✗', 'dim']
}

/** Each edit as the end of a sentence about a tool that was not chosen; edits that came later stand for themselves. */
const EDITS: Record<RouteEditKind, (value: string | null) => string> = {
  lift_pause: () => 'it were not paused',
  close_circuit: () => 'its circuit were closed',
  lift_load: () => 'it had nothing else to do',
  drop_from_excluded: () => 'the task did not exclude it',
  add_to_allowed: () => 'the task allowed it',
  set_complexity: (value) => `the complexity of the task were ${value}`,
  set_risk_tier: (value) => `the risk tier of the task were ${value}`,
  set_domain: (value) => `the domain of the task were ${value}`,
  set_priority: (value) => `the priority of the task were ${value}`,
  remove_candidate: (value) => `${value} were away`,
}

function alternativeTexts(alternatives: readonly RouteAlternative[]): string[] {
  const out_of_reach = alternatives.filter(({ edit }) => edit === null).map(({ tool_id }) => tool_id)
  return [
    ...alternatives.flatMap(({ tool_id, edit }) => (edit === null ? [] : [editText(tool_id, edit)])),
    ...(out_of_reach.length === 0 ? [] : [`No single change would choose ${out_of_reach.join(', ')}.`]),
  ]
}

const editText = (tool_id: string, { edit, value }: RouteEdit): string =>
  `${tool_id} would be chosen if ${EDITS[edit]?.(value) ?? `${edit} ${value}`}.`
