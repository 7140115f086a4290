import { parser } from '@prometheus-io/lezer-promql'

type Tree = ReturnType<typeof parser.parse>
type SyntaxNode = Tree['topNode']

/** A series that an expression asks for. */
export interface Selector {
  name: string
  matchers: { label: string; operator: string; value: string }[]
}

export interface Query {
  selectors: Selector[]
  /** The labels by which it puts series together or beside each other: `by`, `without`, `on` and `ignoring`. */
  grouped_by: string[]
}

/** @throws where it is no PromQL */
export function readQuery(query: string): Query {
  const tree = parser.parse(query)
  const textOf = ({ from, to }: { from: number; to: number }) => query.slice(from, to)
  for (const node of nodesOf(tree))
    if (node.type.isError) throw new Error(`no PromQL at «${query.slice(Math.max(0, node.from - 20))}»`)
  const within = (outer: SyntaxNode | Tree, name: string) =>
    nodesOf(outer).filter((node) => node.name === name)
  return {
    selectors: within(tree, 'VectorSelector').map((selector) => ({
      name: textOf(within(selector, 'Identifier')[0]!),
      matchers: within(selector, 'UnquotedLabelMatcher').map((matcher) => {
        const [label, operator, value] = ['LabelName', 'MatchOp', 'StringLiteral'].map((part) =>
          textOf(within(matcher, part)[0]!),
        ) as [string, string, string] // as many as names
        return { label, operator, value: value.slice(1, -1) }
      }),
    })),
    grouped_by: within(tree, 'GroupingLabels').flatMap((labels) => within(labels, 'LabelName').map(textOf)),
  }
}

function nodesOf(outer: SyntaxNode | Tree): SyntaxNode[] {
  const nodes: SyntaxNode[] = []
  const visit = (node: SyntaxNode): void => {
    nodes.push(node)
    for (let child = node.firstChild; child !== null; child = child.nextSibling) visit(child)
  }
  visit('topNode' in outer ? outer.topNode : outer)
  return nodes
}
