package translate

import (
	"slices"
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	previoushostsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/host/previous_hosts/v3"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/meshwright/meshwright/schema"
)

// retryEvents are App Mesh's events (user guide, "Routes", retry policy) as
// Envoy's conditions and status codes.
var retryEvents = map[string]struct {
	on    []string
	codes []uint32
}{
	// httpRetryEvents. With the errors of servers goes reset, which is no answer
	// at all or none in time (aws-app-mesh-roadmap, issue 284).
	"server-error":  {[]string{"reset", "retriable-status-codes"}, []uint32{500, 501, 502, 503, 504, 505, 506, 507, 508, 510, 511}},
	"gateway-error": {[]string{"reset", "retriable-status-codes"}, []uint32{502, 503, 504}},
	"client-error":  {[]string{"retriable-status-codes"}, []uint32{409}},
	"stream-error":  {[]string{"refused-stream"}, nil},
	// tcpRetryEvents
	"connection-error": {[]string{"connect-failure"}, nil},
	// grpcRetryEvents
	"cancelled":          {[]string{"cancelled"}, nil},
	"deadline-exceeded":  {[]string{"deadline-exceeded"}, nil},
	"internal":           {[]string{"internal"}, nil},
	"resource-exhausted": {[]string{"resource-exhausted"}, nil},
	"unavailable":        {[]string{"unavailable"}, nil},
}

// retryPolicy returns Envoy's policy. Without a written one App Mesh's default
// holds (user guide, "Default route retry policy"); maxRetries 0 is how to
// turn it off. A retry goes to an endpoint that has not been tried, if there
// is one.
func retryPolicy(p *schema.RetryPolicy) *routev3.RetryPolicy {
	on := []string{"connect-failure", "refused-stream", "reset", "retriable-status-codes", "unavailable"}
	codes := []uint32{503}
	out := &routev3.RetryPolicy{NumRetries: u32(2)}
	if p != nil {
		on, codes = nil, nil
		for _, event := range slices.Concat(p.HTTPRetryEvents, p.TCPRetryEvents, p.GRPCRetryEvents) {
			on = append(on, retryEvents[event].on...)
			codes = append(codes, retryEvents[event].codes...)
		}
		slices.Sort(on)
		slices.Sort(codes)
		on, codes = slices.Compact(on), slices.Compact(codes)
		if p.MaxRetries == 0 || len(on) == 0 {
			return nil
		}
		out.NumRetries = u32(p.MaxRetries)
		if d := p.PerRetryTimeout.Duration(); d > 0 {
			out.PerTryTimeout = durationpb.New(d)
		}
	}
	out.RetryOn = strings.Join(on, ",")
	out.RetriableStatusCodes = codes
	out.RetryHostPredicate = []*routev3.RetryPolicy_RetryHostPredicate{{
		Name:       "envoy.retry_host_predicates.previous_hosts",
		ConfigType: &routev3.RetryPolicy_RetryHostPredicate_TypedConfig{TypedConfig: packed(&previoushostsv3.PreviousHostsPredicate{})},
	}}
	out.HostSelectionRetryMaxAttempts = 5
	return out
}
