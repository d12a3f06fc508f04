package xds

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/types/known/structpb"
)

// Profile is all of a proxy that decides what it is sent: two proxies with
// equal profiles have equal resources. It is comparable.
type Profile struct {
	Identity Identity
	Capture  Capture
	// VirtualHosts: it takes the routes to its backends virtual host by virtual
	// host (VHDS), so that a change sends one of them, not all. That needs delta.
	VirtualHosts bool
}

// Capture is how a proxy gets its application's traffic, as its bootstrap
// chose it: transparent (the zero value; iptables redirects to ports 15000 in
// and 15001 out, as App Mesh's proxy-init did), explicit (a local listener for
// each of the node's ports and backends, for machines without iptables), or
// proxyless: nothing is captured, for the application is a gRPC client that
// speaks xDS itself.
type Capture struct {
	Explicit  bool
	Proxyless bool // neither Explicit nor with addresses
	// addresses are the explicit addresses in canonical form (sorted lines of
	// "role name address"), a string so that Capture is comparable.
	addresses string
}

// Role of an address in explicit capture.
type Role string

const (
	// RoleListen: where the proxy takes traffic for the node's listener of a
	// port; default 0.0.0.0:PORT.
	RoleListen Role = "listen"
	// RoleApp: where the application itself listens for that port; default
	// 127.0.0.1:PORT.
	RoleApp Role = "app"
	// RoleBackend: where the proxy offers a backend, named by the AWSName of
	// its virtual service, to the application; default 127.0.0.1:PORT.
	RoleBackend Role = "backend"
)

// NewCapture returns explicit capture with the given addresses: role → port or
// virtual service name → IP:PORT. RoleApp addresses are also used by
// transparent capture.
func NewCapture(explicit bool, addresses map[Role]map[string]netip.AddrPort) Capture {
	var lines []string
	for role, byName := range addresses {
		for name, addr := range byName {
			lines = append(lines, fmt.Sprintf("%s %s %s", role, name, addr))
		}
	}
	slices.Sort(lines)
	return Capture{Explicit: explicit, addresses: strings.Join(lines, "\n")}
}

// Address returns the address set for a role and name, or the fallback.
func (c Capture) Address(role Role, name string, fallback netip.AddrPort) netip.AddrPort {
	prefix := string(role) + " " + name + " "
	for line := range strings.SplitSeq(c.addresses, "\n") {
		if rest, ok := strings.CutPrefix(line, prefix); ok {
			if a, err := netip.ParseAddrPort(rest); err == nil {
				return a
			}
		}
	}
	return fallback
}

// Mode is the word for the way of capturing: transparent, explicit or grpc.
func (c Capture) Mode() string {
	switch {
	case c.Proxyless:
		return "grpc"
	case c.Explicit:
		return "explicit"
	}
	return "transparent"
}

// metadataKey is the key of what a bootstrap says of us in its node metadata.
const metadataKey = "meshwright"

// Metadata is all of a profile but its identity, as node metadata of an Envoy
// bootstrap; nil for plain transparent capture with whole RouteConfigurations.
func (p Profile) Metadata() *structpb.Struct {
	if p == (Profile{Identity: p.Identity}) {
		return nil
	}
	fields := map[string]any{"capture": p.Capture.Mode()}
	if p.VirtualHosts {
		fields["routes"] = VirtualHost.String()
	}
	for line := range strings.SplitSeq(p.Capture.addresses, "\n") {
		parts := strings.SplitN(line, " ", 3)
		if len(parts) != 3 {
			continue
		}
		byName, _ := fields[parts[0]].(map[string]any)
		if byName == nil {
			byName = map[string]any{}
			fields[parts[0]] = byName
		}
		byName[parts[1]] = parts[2]
	}
	s, err := structpb.NewStruct(map[string]any{metadataKey: fields})
	if err != nil { // strings and maps only: cannot happen
		panic(err)
	}
	return s
}

// ProfileOf returns the profile of an identity whose node metadata is what
// [Profile.Metadata] wrote. Anything else is an error: a proxy with a misspelled
// capture must hear of it, not get another's listeners.
func ProfileOf(id Identity, metadata *structpb.Struct) (Profile, error) {
	p := Profile{Identity: id}
	fields := metadata.GetFields()[metadataKey].GetStructValue().GetFields()
	if fields == nil {
		return p, nil
	}
	explicit, proxyless := false, false
	addresses := map[Role]map[string]netip.AddrPort{}
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		switch role := Role(key); {
		case key == "capture":
			switch mode := fields[key].GetStringValue(); mode {
			case "explicit":
				explicit = true
			case "grpc":
				proxyless = true
			case "transparent":
			default:
				return p, fmt.Errorf("metadata.%s.capture: %q is none of transparent, explicit, grpc", metadataKey, mode)
			}
		case key == "routes":
			switch units := fields[key].GetStringValue(); units {
			case VirtualHost.String():
				p.VirtualHosts = true
			case Route.String():
			default:
				return p, fmt.Errorf("metadata.%s.routes: %q is none of %s, %s", metadataKey, units, Route, VirtualHost)
			}
		case role == RoleListen || role == RoleApp || role == RoleBackend:
			addresses[role] = map[string]netip.AddrPort{}
			for name, v := range fields[key].GetStructValue().GetFields() {
				a, err := netip.ParseAddrPort(v.GetStringValue())
				if err != nil || strings.ContainsAny(name, " \n") {
					return p, fmt.Errorf("metadata.%s.%s.%s: %s is not IP:PORT", metadataKey, key, strconv.Quote(name), v)
				}
				addresses[role][name] = a
			}
		default:
			return p, fmt.Errorf("metadata.%s.%s: unknown key; use capture, routes, listen, app, backend", metadataKey, key)
		}
	}
	if proxyless { // without listeners, addresses mean nothing; and it knows no VHDS
		p.Capture, p.VirtualHosts = Capture{Proxyless: true}, false
	} else {
		p.Capture = NewCapture(explicit, addresses)
	}
	return p, nil
}
