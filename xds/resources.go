package xds

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// Type of an Envoy resource. The values are in the order in which additions
// are sent (make before break): what is referred to goes before what refers.
type Type uint8

// The types served.
const (
	Cluster Type = iota
	Endpoint
	Secret
	Listener
	Route
	VirtualHost     // of a RouteConfiguration that takes them one by one
	NumTypes    int = iota
)

var types = [NumTypes]struct{ word, url string }{
	Cluster:     {"clusters", "type.googleapis.com/envoy.config.cluster.v3.Cluster"},
	Endpoint:    {"endpoints", "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"},
	Secret:      {"secrets", "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"},
	Listener:    {"listeners", "type.googleapis.com/envoy.config.listener.v3.Listener"},
	Route:       {"routes", "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"},
	VirtualHost: {"virtualHosts", "type.googleapis.com/envoy.config.route.v3.VirtualHost"},
}

// String is the plural word that `meshwright xds` uses as a key.
func (t Type) String() string { return types[t].word }

// MarshalText makes a type its word in JSON.
func (t Type) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads a type's word.
func (t *Type) UnmarshalText(b []byte) error {
	for i := range types {
		if types[i].word == string(b) {
			*t = Type(i)
			return nil
		}
	}
	return fmt.Errorf("%q is no type of resource", b)
}

// URL is the type's URL on the wire.
func (t Type) URL() string { return types[t].url }

// TypeOf returns the type of a URL.
func TypeOf(url string) (Type, bool) {
	for t := range types {
		if types[t].url == url {
			return Type(t), true
		}
	}
	return 0, false
}

// VirtualHostName names the virtual host of a domain in a RouteConfiguration.
// That form is Envoy's: one that takes its virtual hosts one by one subscribes
// to its own name, and means all below it.
func VirtualHostName(routes, domain string) string { return routes + "/" + domain }

// RoutesOf returns the RouteConfiguration of a virtual host's name.
func RoutesOf(virtualHost string) string {
	return virtualHost[:max(0, strings.LastIndexByte(virtualHost, '/'))]
}

// Resource is one Envoy resource, marshalled once. Its version is the hash of
// its bytes: the same content has the same version on every replica and after
// every restart.
type Resource struct {
	Type    Type
	Name    string
	Version string
	Body    *anypb.Any
	// Takes is what a listener takes from other proxies, in words that are
	// compared only; nil for any other resource. Callers of what it begins to
	// take wait for it, and it waits for those of what it no longer takes.
	Takes []string
}

// NewResource marshals a message.
func NewResource(t Type, name string, m proto.Message) (*Resource, error) {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("marshal %s %s: %w", t, name, err)
	}
	sum := sha256.Sum256(b)
	return &Resource{Type: t, Name: name, Version: hex.EncodeToString(sum[:8]), Body: &anypb.Any{TypeUrl: t.URL(), Value: b}}, nil
}

// String is the resource's type, name and version: never its content, which may
// be a private key.
func (r *Resource) String() string { return r.Type.String() + " " + r.Name + "@" + r.Version }

// Resources is all that one proxy should have: for each type the resources,
// sorted by name. It is never changed once made.
type Resources [NumTypes][]*Resource

// Sort orders each type by name; whoever makes Resources ends with it.
func (r *Resources) Sort() {
	byName := func(a, b *Resource) int { return strings.Compare(a.Name, b.Name) }
	for _, list := range r {
		if !slices.IsSortedFunc(list, byName) { // others may share it
			slices.SortFunc(list, byName)
		}
	}
}

// Get returns the resource of a type and name, nil if there is none.
func (r *Resources) Get(t Type, name string) *Resource {
	i, ok := slices.BinarySearchFunc(r[t], name, func(a *Resource, n string) int { return strings.Compare(a.Name, n) })
	if !ok {
		return nil
	}
	return r[t][i]
}

// Difference is what differs between two [Resources]: of each type the names
// that were added, changed or taken away, sorted. It is never changed once made.
type Difference [NumTypes][]string

// Difference returns what differs between both; nil if they hold the same
// resources in the same versions. What they share costs a comparison of pointers.
func (r *Resources) Difference(o *Resources) *Difference {
	if r == o {
		return nil
	}
	var d *Difference
	for t := range r {
		if names := differing(r[t], o[t]); names != nil {
			if d == nil {
				d = &Difference{}
			}
			d[t] = names
		}
	}
	return d
}

// differing walks two sorted lists.
func differing(a, b []*Resource) (names []string) {
	if len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0]) {
		return nil
	}
	for len(a) > 0 || len(b) > 0 {
		order := 0
		switch {
		case len(a) == 0:
			order = 1
		case len(b) == 0:
			order = -1
		case a[0] != b[0]:
			order = strings.Compare(a[0].Name, b[0].Name)
		}
		switch {
		case order < 0:
			names, a = append(names, a[0].Name), a[1:]
		case order > 0:
			names, b = append(names, b[0].Name), b[1:]
		default:
			if a[0].Version != b[0].Version {
				names = append(names, a[0].Name)
			}
			a, b = a[1:], b[1:]
		}
	}
	return names
}
