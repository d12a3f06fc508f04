package translate

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"

	"github.com/meshwright/meshwright/schema"
)

func (b *builder) clientTLS(u upstream) *corev3.TransportSocket { return nil }

func (b *builder) secured(t *schema.ListenerTLS, filters []*listenerv3.Filter) []*listenerv3.FilterChain {
	return []*listenerv3.FilterChain{{Filters: filters}}
}
