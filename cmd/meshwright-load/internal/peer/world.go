package peer

import (
	"encoding/gob"
	"fmt"
	"os"
	"slices"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/meshwright/meshwright/xds"
)

// World is what a peer serves, before and after the one change that it can make.
type World struct {
	Resources []Resource
	Nodes     []Node
}

// Resource is one content; there may be others of its name, for other nodes.
type Resource struct {
	Type   xds.Type
	Name   string
	Before []byte // marshalled
	After  []byte // nil: the change leaves it as it is
}

// Node is a proxy that connects.
type Node struct {
	ID  string
	Has []int // places in Resources
}

// Save writes the world into a file.
func (w *World) Save(file string) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	if err := gob.NewEncoder(f).Encode(w); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// Load reads a world from a file.
func Load(file string) (*World, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	w := &World{}
	if err := gob.NewDecoder(f).Decode(w); err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	return w, nil
}

// Touched reports whether the change is one for a node.
func (w *World) Touched(n Node) bool {
	return slices.ContainsFunc(n.Has, func(i int) bool { return w.Resources[i].After != nil })
}

// item is a resource as messages; after is before where nothing changes.
type item struct {
	Resource
	before, after proto.Message
}

// items decodes all resources.
func (w *World) items() ([]item, error) {
	list := make([]item, len(w.Resources))
	for i, r := range w.Resources {
		before, err := decode(r.Type, r.Before)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", r.Type, r.Name, err)
		}
		after := before
		if r.After != nil {
			if after, err = decode(r.Type, r.After); err != nil {
				return nil, fmt.Errorf("%s %s: %w", r.Type, r.Name, err)
			}
		}
		list[i] = item{r, before, after}
	}
	return list, nil
}

func decode(t xds.Type, b []byte) (proto.Message, error) {
	m := map[xds.Type]proto.Message{
		xds.Cluster: &clusterv3.Cluster{}, xds.Endpoint: &endpointv3.ClusterLoadAssignment{}, xds.Secret: &tlsv3.Secret{},
		xds.Listener: &listenerv3.Listener{}, xds.Route: &routev3.RouteConfiguration{},
	}[t]
	return m, proto.Unmarshal(b, m)
}

// Split returns the world with a route configuration of its own for each
// virtual host, named as the host is, and with one content for each name: where
// nodes have different ones of a name, it is made longer.
func (w *World) Split() (*World, error) {
	items, err := w.items()
	if err != nil {
		return nil, err
	}
	out := &World{}
	parts := make([][]int, len(items)) // of a resource: places in out
	places := map[string]int{}         // of type and content
	named := map[string]int{}          // of type and name: how many contents
	for i, it := range items {
		for _, part := range split(it) {
			b := func(m proto.Message) string {
				b, _ := proto.MarshalOptions{Deterministic: true}.Marshal(m)
				return string(b)
			}
			before, after := b(part.before), b(part.after)
			key := part.Type.URL() + before
			place, ok := places[key]
			if !ok {
				name := part.Name
				if n := named[part.Type.URL()+name]; n > 0 {
					name = fmt.Sprintf("%s#%d", name, n)
				}
				named[part.Type.URL()+part.Name]++
				r := Resource{Type: part.Type, Name: name, Before: []byte(before)}
				if name != part.Name {
					rename(part.before, name)
					r.Before = []byte(b(part.before))
				}
				if after != before {
					rename(part.after, name)
					r.After = []byte(b(part.after))
				}
				place = len(out.Resources)
				places[key] = place
				out.Resources = append(out.Resources, r)
			}
			parts[i] = append(parts[i], place)
		}
	}
	for _, n := range w.Nodes {
		has := Node{ID: n.ID}
		for _, i := range n.Has {
			has.Has = append(has.Has, parts[i]...)
		}
		slices.Sort(has.Has)
		has.Has = slices.Compact(has.Has)
		out.Nodes = append(out.Nodes, has)
	}
	return out, nil
}

// split makes a resource its parts.
func split(it item) []item {
	before, ok := it.before.(*routev3.RouteConfiguration)
	if !ok {
		return []item{it}
	}
	after := it.after.(*routev3.RouteConfiguration)
	var list []item
	for i, host := range before.VirtualHosts { // a changed weight leaves their order
		list = append(list, item{
			Resource{Type: xds.Route, Name: host.Name},
			&routev3.RouteConfiguration{Name: host.Name, VirtualHosts: []*routev3.VirtualHost{host}},
			&routev3.RouteConfiguration{Name: host.Name, VirtualHosts: []*routev3.VirtualHost{after.VirtualHosts[i]}},
		})
	}
	return list
}

// rename sets the name of a resource, which is the first field of each type.
func rename(m proto.Message, name string) {
	r := m.ProtoReflect()
	r.Set(r.Descriptor().Fields().ByNumber(1), protoreflect.ValueOfString(name))
}

// Names are what each node asks for of a split world.
func (w *World) Names() []map[xds.Type][]string {
	list := make([]map[xds.Type][]string, len(w.Nodes))
	for i, n := range w.Nodes {
		list[i] = map[xds.Type][]string{}
		for _, place := range n.Has {
			r := w.Resources[place]
			list[i][r.Type] = append(list[i][r.Type], r.Name)
		}
	}
	return list
}
