package schema

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
)

// Query is what is asked of a registry for a node's instances. It is
// comparable: nodes that ask for the same have equal ones.
type Query struct {
	Namespace, Service string
	// attributes are the conditions on instances in canonical form (sorted lines
	// of "key\x00value"), a string so that Query is comparable.
	attributes string
}

// Query is what the node asks AWS Cloud Map.
func (d *CloudMapDiscovery) Query() Query {
	lines := make([]string, len(d.Attributes))
	for i, a := range d.Attributes {
		lines[i] = a.Key + "\x00" + a.Value
	}
	slices.Sort(lines)
	return Query{d.NamespaceName, d.ServiceName, strings.Join(slices.Compact(lines), "\n")}
}

// Attributes are the conditions, all of which an instance must meet; nil: none.
func (q Query) Attributes() map[string]string {
	if q.attributes == "" {
		return nil
	}
	attributes := map[string]string{}
	for line := range strings.SplitSeq(q.attributes, "\n") {
		key, value, _ := strings.Cut(line, "\x00")
		attributes[key] = value
	}
	return attributes
}

// Name is the service's name, as people and certificates know it:
// SERVICE.NAMESPACE.
func (q Query) Name() string { return q.Service + "." + q.Namespace }

// DiscoveryName is the name that service discovery knows a node by, which its
// certificate is checked for; empty where it is not discovered.
func (n *VirtualNode) DiscoveryName() string {
	switch d := n.Spec.ServiceDiscovery; {
	case d == nil:
	case d.DNS != nil:
		return d.DNS.Hostname
	case d.AWSCloudMap != nil:
		return d.AWSCloudMap.Query().Name()
	}
	return ""
}

// Compare orders queries by namespace, service, attributes.
func (q Query) Compare(o Query) int {
	return cmp.Or(cmp.Compare(q.Namespace, o.Namespace), cmp.Compare(q.Service, o.Service), cmp.Compare(q.attributes, o.attributes))
}

// Queries are what the nodes of a spec ask AWS Cloud Map, each once, sorted.
// Nodes whose endpoints are written in git ask nothing.
func (s *Spec) Queries() []Query {
	var queries []Query
	for _, n := range s.VirtualNodes {
		if d := n.Spec.ServiceDiscovery; d != nil && d.AWSCloudMap != nil && s.EndpointsOf(n) == nil {
			queries = append(queries, d.AWSCloudMap.Query())
		}
	}
	slices.SortFunc(queries, Query.Compare)
	return slices.Compact(queries)
}

// Instance is one that a registry has. It has an address of one family at
// least; the other may be the zero value.
type Instance struct {
	IPv4, IPv6 netip.Addr
	Zone       string // its availability zone; may be empty
}

// Found is what a registry answered to a query. It is never changed once made.
type Found struct {
	Instances []Instance // sorted, each once
	Version   string     // a hash of the instances
}

// NewFound returns the answer with these instances, in whatever order. The
// slice is taken over.
func NewFound(instances []Instance) *Found {
	slices.SortFunc(instances, func(a, b Instance) int {
		return cmp.Or(a.IPv4.Compare(b.IPv4), a.IPv6.Compare(b.IPv6), cmp.Compare(a.Zone, b.Zone))
	})
	instances = slices.Compact(instances)
	var text strings.Builder
	for _, i := range instances {
		text.WriteString(i.IPv4.String() + " " + i.IPv6.String() + " " + i.Zone + "\n")
	}
	return &Found{instances, hash([]byte(text.String()))}
}
