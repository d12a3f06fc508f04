package translate

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
)

// build makes what proxies of a profile should have, and the notices about it.
func build(in Inputs, profile xds.Profile, shared *memo) product {
	id, spec := profile.Identity, in.Spec
	b := &builder{
		spec: spec, found: in.Endpoints, certificates: in.Certificates, tracing: in.Tracing, identity: id, capture: profile.Capture, shared: shared,
		res: &xds.Resources{}, have: map[resourceName]bool{}, clients: map[string]string{}, acting: map[string]acting{}, targets: map[string]schema.Ref{},
	}
	switch id.Kind {
	case schema.KindVirtualNode:
		n := spec.VirtualNodeNamed(id.Mesh, id.Name)
		if n == nil {
			return product{err: xds.UnknownIdentity{Identity: id}}
		}
		b.mesh = spec.MeshOf(n)
		b.node(n)
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
	return product{res: b.res, notices: slices.Compact(b.notices), targets: b.targets, assignments: b.assignments, needs: b.needs}
}

// builder collects one proxy's resources. The first error ends it; none is
// expected of a spec that has loaded.
type builder struct {
	spec         *schema.Spec
	found        map[schema.Query]*schema.Found
	certificates *xds.Certificates
	tracing      Tracing
	identity     xds.Identity
	mesh         *schema.Mesh
	capture      xds.Capture
	shared       *memo
	door         door // of the gateway's listener whose routes are made

	res         *xds.Resources
	have        map[resourceName]bool
	clients     map[string]string // egress cluster → inputs of the first way to speak to it
	acting      map[string]acting // which filters act on its routes, by name of the RouteConfiguration
	assignments []assignment
	needs       []need
	targets     map[string]schema.Ref // egress cluster → virtual node
	notices     []string
	err         error
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
	if b.err != nil || b.have[resourceName{t, name}] {
		return
	}
	r, err := b.shared.derived(t, name, inputs, body)
	b.put(r, err)
}

func (b *builder) put(r *xds.Resource, err error) {
	if err != nil {
		b.err = err
		return
	}
	b.have[resourceName{r.Type, r.Name}] = true
	b.res[r.Type] = append(b.res[r.Type], r)
}

// notice tells a person about this proxy's configuration.
func (b *builder) notice(format string, args ...any) {
	b.notices = append(b.notices, fmt.Sprintf(format, args...))
}
