package translate

import (
	"fmt"
	"slices"
	"strings"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	"google.golang.org/protobuf/proto"

	"github.com/meshwright/meshwright/xds"
)

// Drained says why connections of a listener end when a change of it arrives,
// empty where none does. after is nil when it is removed.
//
// Envoy changes a listener in place when only filter chains differ: connections
// of those that stay equal go on, those of the others are drained. Anything else
// (an address, a listener filter) makes the listener anew, and all that the old
// one has are drained. What is drained may finish for the drain time (600 s,
// --drain-time-s) and is closed then.
func Drained(before, after *xds.Resource) (why string, err error) {
	if before == nil || after != nil && before.Version == after.Version {
		return "", nil
	}
	if after == nil {
		return "the listener is removed", nil
	}
	was, is := &listenerv3.Listener{}, &listenerv3.Listener{}
	for m, r := range map[*listenerv3.Listener]*xds.Resource{was: before, is: after} {
		if err := r.Body.UnmarshalTo(m); err != nil {
			return "", err
		}
	}
	var ended []string
	for _, c := range was.FilterChains {
		if !slices.ContainsFunc(is.FilterChains, func(o *listenerv3.FilterChain) bool { return proto.Equal(c, o) }) {
			ended = append(ended, c.Name)
		}
	}
	was.FilterChains, is.FilterChains = nil, nil
	switch slices.Sort(ended); {
	case !proto.Equal(was.Address, is.Address):
		return "its address changes, and so it is made anew", nil
	case !proto.Equal(was, is):
		return "more of it changes than its filter chains, and so it is made anew", nil
	case len(ended) == 0:
		return "", nil // chains are added only
	case len(ended) == 1 && ended[0] == "":
		return "its filter chain changes", nil
	}
	return fmt.Sprintf("of its filter chains, %s changes or goes; connections of others stay", strings.Join(slices.Compact(ended), ", ")), nil
}

// Lacking returns the secrets that proxies of a profile need and that this
// control plane does not have, sorted: without them, TLS is refused rather than
// left out.
func (s *Snapshot) Lacking(p xds.Profile) []string {
	var lacking []string
	for _, n := range s.proxy(p).needs {
		if (n.of(s.in.Certificates) == material{}) {
			lacking = append(lacking, n.secret)
		}
	}
	slices.Sort(lacking)
	return lacking
}
