package translate

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
)

// maker is what the builders of one snapshot share.
type maker struct {
	Inputs
	shared *memo
	known  *callees
}

// builder returns one that has built nothing.
func (m *maker) builder(profile xds.Profile) *builder {
	return &builder{
		maker: m, Profile: profile, spec: m.Spec,
		part: part{have: map[resourceName]bool{}, clients: map[string]string{}, acting: map[string]acting{}},
	}
}

// build makes what proxies of a profile should have, and the notices about it.
// Of a node's, it takes what has nothing to do with backends, if that is known.
func (m *maker) build(profile xds.Profile, self *part) product {
	id, spec := profile.Identity, m.Spec
	b := m.builder(profile)
	b.self = self
	switch id.Kind {
	case schema.KindVirtualNode:
		n := spec.VirtualNodeNamed(id.Mesh, id.Name)
		if n == nil {
			return product{err: xds.UnknownIdentity{Identity: id}}
		}
		b.mesh = spec.MeshOf(n)
		b.node(n, b.callees(spec.BackendsOf(n)))
	case schema.KindVirtualGateway:
		g := spec.VirtualGatewayNamed(id.Mesh, id.Name)
		if g == nil {
			return product{err: xds.UnknownIdentity{Identity: id}}
		}
		if profile.Capture.Proxyless {
			return product{err: fmt.Errorf("%s: a gRPC client stands for a virtual node", id)}
		}
		b.mesh = spec.MeshOf(g)
		b.gateway(g)
	default:
		return product{err: xds.UnknownIdentity{Identity: id}}
	}
	if b.err != nil {
		return product{err: fmt.Errorf("translate %s: %w", id, b.err)}
	}
	b.res.Sort()
	slices.Sort(b.notices)
	return product{res: &b.res, notices: slices.Compact(b.notices), targets: b.targets, assignments: b.assignments, needs: b.needs, self: b.self, reach: b.shares}
}

// builder collects one proxy's resources. The first error ends it; none is
// expected of a spec that has loaded.
type builder struct {
	*maker
	xds.Profile
	spec *schema.Spec
	mesh *schema.Mesh
	door door // of the gateway's listener whose routes are made

	part
	base *part // a part that is read, not copied
	// shares is the reach whose part is the base.
	shares *reach
	self   *part // what of a node's proxy has nothing to do with its backends; nil: not made yet
}

type resourceName struct {
	typ  xds.Type
	name string
}

// add adds a resource.
func (b *builder) add(t xds.Type, name string, m proto.Message) {
	if b.err == nil {
		r, err := b.shared.made(t, name, m)
		b.put(r, err)
	}
}

// addDerived adds a resource that its inputs determine, unless the proxy has
// one of that name.
func (b *builder) addDerived(t xds.Type, name, inputs string, body func() proto.Message) {
	if b.err != nil || b.has(t, name) {
		return
	}
	r, err := b.shared.derived(t, name, inputs, body)
	b.put(r, err)
}

// has reports whether a resource is there.
func (b *builder) has(t xds.Type, name string) bool {
	n := resourceName{t, name}
	return b.have[n] || b.base != nil && b.base.have[n]
}

// client returns the inputs of the first way to speak to a cluster.
func (b *builder) client(name string) (inputs string, ok bool) {
	if inputs, ok = b.clients[name]; !ok && b.base != nil {
		inputs, ok = b.base.clients[name]
	}
	return inputs, ok
}

func (b *builder) put(r *xds.Resource, err error) {
	if err != nil {
		b.err = err
		return
	}
	b.have[resourceName{r.Type, r.Name}] = true
	b.res[r.Type] = append(b.res[r.Type], r)
}

// leadsTo notes which node a cluster leads to that has not its plain name.
func (b *builder) leadsTo(name string, n schema.Ref) {
	if b.targets == nil {
		b.targets = map[string]schema.Ref{}
	}
	b.targets[name] = n
}

// notice tells a person about this proxy's configuration.
func (b *builder) notice(format string, args ...any) {
	b.notices = append(b.notices, fmt.Sprintf(format, args...))
}
