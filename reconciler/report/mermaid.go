package report

import (
	"fmt"
	"strings"

	"github.com/meshwright/meshwright/reconciler/plan"
	"github.com/meshwright/meshwright/schema"
)

// How much of the mesh is drawn, whatever a plan asks for: more is a tangle.
const (
	maxNodes = 40
	maxEdges = 80
)

// shapes are how a kind is drawn: the word before its name, and what Mermaid
// has around both. A node is what it is called.
var shapes = map[schema.Kind][3]string{
	schema.KindVirtualGateway: {"gateway ", "{{", "}}"},
	schema.KindVirtualService: {"service ", "([", "])"},
	schema.KindVirtualRouter:  {"router ", "(", ")"},
	schema.KindGatewayRoute:   {"route ", "(", ")"},
}

// diagram draws the touched part of the mesh with Mermaid. Labels are the only
// text of others in it: see [label].
func diagram(g plan.Graph) string {
	nodes, edges, hidden := drawn(g)
	if len(edges) == 0 {
		return ""
	}
	ids := map[schema.Ref]string{}
	var refs []schema.Ref
	for i, n := range nodes {
		ids[n.Ref], refs = fmt.Sprintf("n%d", i), append(refs, n.Ref)
	}
	name := naming(refs)
	var b strings.Builder
	b.WriteString("```mermaid\nflowchart LR\n")
	for _, n := range nodes {
		shape, ok := shapes[n.Ref.Kind]
		if !ok {
			shape = [3]string{"", "[", "]"}
		}
		class := ""
		switch n.Op {
		case schema.Added, schema.Changed, schema.Removed:
			class = ":::" + string(n.Op)
		}
		fmt.Fprintf(&b, "  %s%s\"%s%s\"%s%s\n", ids[n.Ref], shape[1], shape[0], label(name(n.Ref)), shape[2], class)
	}
	for _, e := range edges {
		fmt.Fprintf(&b, "  %s %s %s\n", ids[e.From], arrow(e), ids[e.To])
	}
	// Fills would be hard to read in one of light and dark.
	b.WriteString("  classDef added stroke:#2da44e,stroke-width:3px\n" +
		"  classDef changed stroke:#bf8700,stroke-width:3px\n" +
		"  classDef removed stroke:#cf222e,stroke-width:3px,stroke-dasharray:5\n```\n")
	b.WriteString("\nGreen is added, yellow changed, red removed.")
	if hidden > 0 {
		fmt.Fprintf(&b, " %s not drawn.", schema.Count(hidden, "resource"))
	}
	return b.String() + "\n"
}

// drawn is as much of a graph as has room.
func drawn(g plan.Graph) (nodes []plan.GraphNode, edges []plan.GraphEdge, hidden int) {
	nodes = g.Nodes[:min(len(g.Nodes), maxNodes)]
	known := map[schema.Ref]bool{}
	for _, n := range nodes {
		known[n.Ref] = true
	}
	for _, e := range g.Edges {
		if known[e.From] && known[e.To] && len(edges) < maxEdges {
			edges = append(edges, e)
		}
	}
	return nodes, edges, g.Omitted + len(g.Nodes) - len(nodes)
}

// arrow is an edge with the share of the traffic that takes it, before and
// after; all of it needs no number.
func arrow(e plan.GraphEdge) string {
	share := func(p float64) string {
		if p == 100 {
			return ""
		}
		return " " + percent(p)
	}
	line, text := "-->", share(e.After)
	switch {
	case e.Before < 0:
		line, text = "==>", "new"+share(e.After)
	case e.After < 0:
		line, text = "-.->", "gone"+share(e.Before)
	case e.Before != e.After:
		text = percent(e.Before) + " → " + percent(e.After)
	}
	if text = strings.TrimSpace(text); text == "" {
		return line
	}
	return fmt.Sprintf("%s|\"%s\"|", line, text)
}

// label writes a name so that nothing of it is Mermaid's or HTML's: characters
// beside letters, digits and a few others become Mermaid's numeric entities.
func label(name string) string {
	var b strings.Builder
	for _, r := range clean(name, 40) {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '.', r == ' ':
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, "#%d;", r)
		}
	}
	if b.Len() == 0 {
		return "?"
	}
	return b.String()
}
