package translate_test

import (
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"

	"github.com/meshwright/meshwright/xds"
	"github.com/meshwright/meshwright/xds/translate"
)

// TestDrained: which connections a change of a listener ends.
func TestDrained(t *testing.T) {
	type change func(*listenerv3.Listener)
	for name, c := range map[string]struct {
		change change
		want   string
	}{
		"same":          {func(*listenerv3.Listener) {}, ""},
		"chain_added":   {func(l *listenerv3.Listener) { l.FilterChains = append(l.FilterChains, chain("three")) }, ""},
		"chains_moved":  {func(l *listenerv3.Listener) { l.FilterChains = []*listenerv3.FilterChain{chain("two"), chain("one")} }, ""},
		"chain_gone":    {func(l *listenerv3.Listener) { l.FilterChains = l.FilterChains[:1] }, "of its filter chains, two changes or goes; connections of others stay"},
		"chain_changed": {func(l *listenerv3.Listener) { l.FilterChains[0].Filters = nil }, "of its filter chains, one changes or goes; connections of others stay"},
		"filter": {func(l *listenerv3.Listener) {
			l.ListenerFilters = []*listenerv3.ListenerFilter{{Name: "envoy.filters.listener.tls_inspector"}}
		}, "more of it changes than its filter chains, and so it is made anew"},
		"address": {func(l *listenerv3.Listener) { l.Address = at(81) }, "its address changes, and so it is made anew"},
	} {
		t.Run(name, func(t *testing.T) {
			is := listening()
			c.change(is)
			got, err := translate.Drained(resource(t, listening()), resource(t, is))
			if err != nil || got != c.want {
				t.Errorf("%q, %v; want %q", got, err, c.want)
			}
		})
	}
	if got, _ := translate.Drained(resource(t, listening()), nil); got != "the listener is removed" {
		t.Errorf("removed: %q", got)
	}
	if got, _ := translate.Drained(nil, resource(t, listening())); got != "" {
		t.Errorf("new: %q", got)
	}
}

func listening() *listenerv3.Listener {
	return &listenerv3.Listener{Name: "l", Address: at(80), FilterChains: []*listenerv3.FilterChain{chain("one"), chain("two")}}
}

func chain(name string) *listenerv3.FilterChain {
	return &listenerv3.FilterChain{Name: name, Filters: []*listenerv3.Filter{{Name: "envoy.filters.network.echo"}}}
}

func at(port uint32) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address: "0.0.0.0", PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: port},
	}}}
}

func resource(t *testing.T, l *listenerv3.Listener) *xds.Resource {
	t.Helper()
	r, err := xds.NewResource(xds.Listener, l.Name, l)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
