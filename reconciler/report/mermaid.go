package report

import (
	"fmt"
	"strings"

	"github.com/meshwright/meshwright/reconciler/plan"
	"github.com/meshwright/meshwright/schema"
)

// How much of the mesh is drawn: more is a tangle.
const (
	maxNodes = 30
	maxEdges = 45
)

// shapes are what Mermaid draws around the label of a kind.
var shapes = map[schema.Kind][2]string{
	schema.KindVirtualGateway: {"{{", "}}"},
	schema.KindVirtualService: {"([", "])"},
	schema.KindVirtualRouter:  {"(", ")"},
	schema.KindGatewayRoute:   {">", "]"},
}

// diagram draws the touched part of the mesh with Mermaid. Labels are the only
// text of others in it: see [label].
func diagram(g plan.Graph) string {
	nodes, edges, hidden := drawn(g)
	if len(edges) == 0 {
		return ""
	}
	names := naming(nodes)
	ids := map[schema.Ref]string{}
	var b strings.Builder
	b.WriteString("```mermaid\nflowchart LR\n")
	for i, n := range nodes {
		ids[n.Ref] = fmt.Sprintf("n%d", i)
		shape, ok := shapes[n.Ref.Kind]
		if !ok {
			shape = [2]string{"[", "]"}
		}
		class := ""
		switch n.Op {
		case schema.Added, schema.Changed, schema.Removed:
			class = ":::" + string(n.Op)
		}
		fmt.Fprintf(&b, "  n%d%s\"%s\"%s%s\n", i, shape[0], label(names(n.Ref)), shape[1], class)
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
		fmt.Fprintf(&b, " %s not drawn.", count(hidden, "resource"))
	}
	return b.String() + "\n"
}

// drawn is the part of a graph that has room: all, or else what changes, or
// else the start of that.
func drawn(g plan.Graph) (nodes []plan.GraphNode, edges []plan.GraphEdge, hidden int) {
	nodes, edges = g.Nodes, g.Edges
	if len(nodes) > maxNodes || len(edges) > maxEdges {
		changes := map[schema.Ref]bool{}
		for _, n := range g.Nodes {
			changes[n.Ref] = n.Op != ""
		}
		edges = nil
		for _, e := range g.Edges {
			if e.Before != e.After || changes[e.From] && changes[e.To] {
				edges = append(edges, e)
			}
		}
		edges = edges[:min(len(edges), maxEdges)]
	}
	used, known := map[schema.Ref]bool{}, map[schema.Ref]bool{}
	for _, e := range edges {
		used[e.From], used[e.To] = true, true
	}
	nodes = nil
	for _, n := range g.Nodes {
		if used[n.Ref] && !known[n.Ref] && len(nodes) < maxNodes {
			nodes, known[n.Ref] = append(nodes, n), true
		}
	}
	var between []plan.GraphEdge
	for _, e := range edges {
		if known[e.From] && known[e.To] {
			between = append(between, e)
		}
	}
	return nodes, between, len(g.Nodes) - len(nodes)
}

// naming leaves out the namespace where all nodes are in one.
func naming(nodes []plan.GraphNode) func(schema.Ref) string {
	spaces := map[string]bool{}
	for _, n := range nodes {
		spaces[n.Ref.Namespace] = true
	}
	return func(r schema.Ref) string {
		if len(spaces) > 1 && r.Namespace != "" {
			return r.Namespace + "/" + r.Name
		}
		return r.Name
	}
}

// arrow is an edge with the share of the traffic that takes it.
func arrow(e plan.GraphEdge) string {
	switch {
	case e.Before < 0:
		return fmt.Sprintf("==>|\"new: %s\"|", percent(e.After))
	case e.After < 0:
		return fmt.Sprintf("-.->|\"%s → gone\"|", percent(e.Before))
	case e.Before != e.After:
		return fmt.Sprintf("-->|\"%s → %s\"|", percent(e.Before), percent(e.After))
	case e.After > 0 && e.After < 100:
		return fmt.Sprintf("-->|\"%s\"|", percent(e.After))
	}
	return "-->"
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
