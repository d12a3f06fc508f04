package translate

import (
	"cmp"
	"net/netip"
	"slices"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	"google.golang.org/protobuf/proto"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
)

// assignment is the endpoints of a node's listener that a registry finds: they
// change while the spec stays, and are all of a proxy that then is made anew.
type assignment struct {
	name       string // on the wire
	query      schema.Query
	preference string // the mesh's ipPreference
	node       *schema.VirtualNode
	listener   *schema.NodeListener
}

// byEDS reports whether clients get a node's endpoints from this control plane:
// those of a registry, and those written in git.
func (b *builder) byEDS(n *schema.VirtualNode) bool {
	return b.spec.EndpointsOf(n) != nil || cloudMapOf(n) != nil
}

// addEndpoints adds those of a node's listener, which all clusters that lead
// there share.
func (b *builder) addEndpoints(u upstream) {
	name := egressClusterName(u.node, u.listener, "")
	if b.err != nil || b.has(xds.Endpoint, name) {
		return
	}
	if written := b.spec.EndpointsOf(u.node); written != nil {
		b.addDerived(xds.Endpoint, name, u.node.Digest+" "+written.Digest, func() proto.Message {
			return loadAssignments(name, u.listener, written.Spec.Endpoints)
		})
		if len(written.Spec.Endpoints) == 0 {
			b.notice("Virtual node %s has no endpoints, as %s says: requests to it get a 503.", u.node.AWSName, written.Ref)
		}
		return
	}
	a := assignment{name: name, query: cloudMapOf(u.node).Query(), preference: ipPreference(b.mesh), node: u.node, listener: u.listener}
	b.assignments = append(b.assignments, a)
	r, err := a.resource(b.Endpoints, b.shared)
	b.put(r, err)
}

// resource is the assignment with what was found. Until there is an answer it
// is empty, so that proxies have their clusters and answer 503.
func (a assignment) resource(found map[schema.Query]*schema.Found, shared *memo) (*xds.Resource, error) {
	inputs := a.node.Digest + " " + a.preference
	if f := found[a.query]; f != nil {
		inputs += " " + f.Version
	}
	return shared.derived(xds.Endpoint, a.name, inputs, func() proto.Message {
		return loadAssignments(a.name, a.listener, a.endpoints(found))
	})
}

// endpoints are the instances that were found, each at the address of the
// family that the mesh prefers. They are asked on the listener's port, as App
// Mesh did, whatever port they were registered with.
func (a assignment) endpoints(found map[schema.Query]*schema.Found) []schema.Endpoint {
	f := found[a.query]
	if f == nil {
		return nil
	}
	var endpoints []schema.Endpoint
	for _, i := range f.Instances {
		first, second := i.IPv4, i.IPv6
		switch a.preference {
		case "IPv4_ONLY":
			second = netip.Addr{}
		case "IPv6_ONLY":
			first = netip.Addr{}
		case "IPv6_PREFERRED":
			first, second = second, first
		}
		if addr := cmp.Or(first, second); addr.IsValid() {
			endpoints = append(endpoints, schema.Endpoint{Address: addr.String(), Zone: i.Zone})
		}
	}
	return endpoints
}

// reassigned is a product with what was found since in the place of what it was
// made with; the same one where that is the same.
func (p product) reassigned(had, found map[schema.Query]*schema.Found, shared *memo) product {
	copied := false
	for _, a := range p.assignments {
		if found[a.query] == had[a.query] {
			continue
		}
		r, err := a.resource(found, shared)
		if err != nil {
			return product{err: err}
		}
		i := slices.IndexFunc(p.res[xds.Endpoint], func(o *xds.Resource) bool { return o.Name == a.name })
		if p.res[xds.Endpoint][i] == r {
			continue
		}
		if !copied {
			p.res, copied = new(*p.res), true
			p.res[xds.Endpoint] = slices.Clone(p.res[xds.Endpoint])
		}
		p.res[xds.Endpoint][i] = r
	}
	return p
}

// notes are the notices, with those about what was found.
func (p product) notes(found map[schema.Query]*schema.Found) []string {
	b := builder{part: part{notices: slices.Clone(p.notices)}}
	for _, a := range p.assignments {
		switch {
		case found[a.query] == nil:
			b.notice("Virtual node %s has no endpoints yet: AWS Cloud Map has not been asked for %s, or has not answered; until then requests to it get a 503.", a.node.AWSName, a.query.Name())
		case len(a.endpoints(found)) == 0:
			b.notice("Virtual node %s has no endpoints: AWS Cloud Map has no instance of %s that it asks for; requests to it get a 503.", a.node.AWSName, a.query.Name())
		}
	}
	slices.Sort(b.notices)
	return slices.Compact(b.notices)
}

// setEDS makes a cluster get its endpoints from this control plane.
func setEDS(c *clusterv3.Cluster, u upstream) {
	c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS}
	c.EdsClusterConfig = &clusterv3.Cluster_EdsClusterConfig{EdsConfig: fromADS()}
	c.IgnoreHealthOnHostRemoval = true // or one that is gone would get requests for as long as it is healthy
	if name := egressClusterName(u.node, u.listener, ""); name != c.Name {
		c.EdsClusterConfig.ServiceName = name
	}
}

// loadAssignments are the endpoints of a listener by zone, each address and
// port once. A locality has the weight of its endpoints: gRPC's clients take
// one without for empty.
func loadAssignments(name string, l *schema.NodeListener, endpoints []schema.Endpoint) *endpointv3.ClusterLoadAssignment {
	m := &endpointv3.ClusterLoadAssignment{ClusterName: name}
	seen := map[netip.AddrPort]bool{}
	for _, e := range slices.SortedStableFunc(slices.Values(endpoints), func(a, b schema.Endpoint) int { return cmp.Compare(a.Zone, b.Zone) }) {
		addr, err := netip.ParseAddr(e.Address)
		at := netip.AddrPortFrom(addr, uint16(e.Port(l.PortMapping.Port)))
		if err != nil || seen[at] || e.Health == schema.Unhealthy {
			continue
		}
		seen[at] = true
		last := len(m.Endpoints) - 1
		if last < 0 || m.Endpoints[last].Locality.Zone != e.Zone {
			m.Endpoints = append(m.Endpoints, &endpointv3.LocalityLbEndpoints{Locality: &corev3.Locality{Zone: e.Zone}, LoadBalancingWeight: u32(0)})
			last++
		}
		weight := max(1, e.Weight)
		m.Endpoints[last].LoadBalancingWeight.Value += weight
		m.Endpoints[last].LbEndpoints = append(m.Endpoints[last].LbEndpoints, lbEndpoint(at, weight, e, l))
	}
	return m
}

func lbEndpoint(at netip.AddrPort, weight uint32, e schema.Endpoint, l *schema.NodeListener) *endpointv3.LbEndpoint {
	m := &endpointv3.LbEndpoint{
		HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{Address: socketAddress(at), HealthCheckConfig: checkedAt(l, e)}},
	}
	if weight != 1 {
		m.LoadBalancingWeight = u32(weight)
	}
	if e.Health == schema.Draining {
		m.HealthStatus = corev3.HealthStatus_DRAINING
	}
	return m
}

// checkedAt is the port at which an endpoint's health is checked, where that
// is not the one that requests go to.
func checkedAt(l *schema.NodeListener, e schema.Endpoint) *endpointv3.Endpoint_HealthCheckConfig {
	h := l.HealthCheck
	if h == nil || h.Port == 0 || e.Port(h.Port) == e.Port(l.PortMapping.Port) {
		return nil
	}
	return &endpointv3.Endpoint_HealthCheckConfig{PortValue: e.Port(h.Port)}
}
