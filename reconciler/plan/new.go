package plan

import (
	"cmp"
	"maps"
	"path"
	"slices"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
	"github.com/meshwright/meshwright/xds/translate"
)

// Side is the mesh before a change or after it.
type Side struct {
	Name  string              // commit, or what people call the side
	Spec  *schema.Spec        // nil: there is none yet
	State *translate.Snapshot // what proxies get of the spec; nil: of the spec alone
}

// whole fills in what a side leaves out.
func (s Side) whole(prev *translate.Snapshot) Side {
	s.Spec = cmp.Or(s.Spec, schema.NewSpec())
	if s.State == nil {
		s.State = translate.New(translate.Inputs{Commit: s.Name, Spec: s.Spec}, prev)
	}
	return s
}

// New says what going from one side to the other would do. Its cost follows the
// change: only what depends on the resources that differ is looked at. It is
// cheapest when the state of one side was made from that of the other, for then
// they share what is equal.
func New(from, to Side, seen Observed) *Plan {
	c := newChange(from, to, seen)
	p := &Plan{
		From: from.Name, To: to.Name,
		Resources: []Resource{}, Routes: []Route{}, Drains: []Drain{}, Moves: []Move{}, Rollouts: []Rollout{}, Risks: []Risk{}, Around: []schema.Ref{},
		Proxies: Proxies{Connected: len(seen.Proxies), Identities: []Touched{}},
		Graph:   Graph{Nodes: []GraphNode{}, Edges: []GraphEdge{}},
	}
	if len(c.diff) == 0 {
		return p
	}
	p.Resources = c.resources()
	p.Routes = c.routes()
	p.Proxies, p.Drains = c.proxies()
	var tried bool
	p.Moves, tried = c.moves()
	p.Rollouts = c.rollouts()
	p.Risks = c.risks(p, tried)
	p.Graph = c.graph()
	p.Around = c.around()
	return p
}

// change is what a plan is made of.
type change struct {
	from, to Side
	seen     Observed
	diff     []schema.Change
	ops      map[schema.Ref]schema.Op // of diff
	// reach are the resources, of either side, that may mean something else.
	reach map[schema.Ref]bool
	// lost are the requests that no route takes any more, with what took them.
	lost map[Move]schema.Resource
	// cut are the services whose requests no route of a node takes any more.
	cut map[edge]bool
	// known are the lines of routers, made once.
	known map[router][]line
}

// router is one on one side.
type router struct {
	spec *schema.Spec
	key  schema.Key
}

// lines are those of a router, which may be nil.
func (c *change) lines(s *schema.Spec, r *schema.VirtualRouter) []line {
	if r == nil {
		return nil
	}
	of := router{s, r.Ref.Key}
	lines, ok := c.known[of]
	if !ok {
		lines = routerLines(s, r)
		c.known[of] = lines
	}
	return lines
}

func newChange(from, to Side, seen Observed) *change {
	from = from.whole(nil)
	to = to.whole(from.State)
	c := &change{from: from, to: to, seen: seen, diff: schema.Diff(from.Spec, to.Spec), ops: map[schema.Ref]schema.Op{}, lost: map[Move]schema.Resource{}, cut: map[edge]bool{}, known: map[router][]line{}}
	refs := make([]schema.Ref, len(c.diff))
	for i, d := range c.diff {
		refs[i], c.ops[d.Ref] = d.Ref, d.Op
	}
	c.reach = from.Spec.Dependents(refs)
	maps.Copy(c.reach, to.Spec.Dependents(refs))
	return c
}

// sides are both, in their order.
func (c *change) sides() [2]*schema.Spec { return [2]*schema.Spec{c.from.Spec, c.to.Spec} }

// reached returns the resources of a kind that may mean something else, sorted.
func (c *change) reached(kind schema.Kind) []schema.Key {
	var keys []schema.Key
	for ref := range c.reach {
		if ref.Kind == kind {
			keys = append(keys, ref.Key)
		}
	}
	slices.SortFunc(keys, schema.Key.Compare)
	return keys
}

// identities returns whose proxies may be sent something.
func (c *change) identities() []xds.Identity {
	ids := map[xds.Identity]bool{}
	for _, spec := range c.sides() {
		for ref := range c.reach {
			if n := spec.VirtualNodes[ref.Key]; ref.Kind == schema.KindVirtualNode && n != nil {
				ids[identity(&n.Meta)] = true
			}
			if g := spec.VirtualGateways[ref.Key]; ref.Kind == schema.KindVirtualGateway && g != nil {
				ids[identity(&g.Meta)] = true
			}
		}
	}
	return slices.SortedFunc(maps.Keys(ids), xds.Identity.Compare)
}

// identity is whom the proxies of a virtual node or gateway stand for.
func identity(m *schema.Meta) xds.Identity {
	return xds.Identity{Mesh: m.Mesh, Kind: m.Ref.Kind, Name: m.AWSName}
}

// Empty reports whether nothing of the mesh would change.
func (p *Plan) Empty() bool { return len(p.Resources) == 0 }

// Within names the plan's files from outside of the folder that they are in.
func (p *Plan) Within(folder string) {
	outside := func(at *schema.Pos) {
		if at.File != "" {
			at.File = path.Join(folder, at.File)
		}
	}
	for i := range p.Resources {
		outside(&p.Resources[i].Pos)
		for j := range p.Resources[i].Fields {
			outside(&p.Resources[i].Fields[j].Pos)
		}
	}
	for i := range p.Risks {
		outside(&p.Risks[i].Pos)
	}
}
