package translate

import (
	"cmp"
	"time"

	localratelimitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/local_ratelimit/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/meshwright/meshwright/schema"
)

// rateLimitStats is the stat prefix of local rate limits.
const rateLimitStats = "rate_limit"

// rateLimitOn is what each proxy lets through on a route.
func rateLimitOn(r *schema.RouteRules) proto.Message {
	if r.RateLimit == nil {
		return nil
	}
	return rateLimit(r.RateLimit)
}

// rateLimit is a bucket that all of a proxy's threads draw from. Its tokens
// come back all at once after each period, of which Envoy takes none below
// 50 ms.
func rateLimit(l *schema.RateLimit) *localratelimitv3.LocalRateLimit {
	per := time.Second
	if l.Per != nil {
		per = l.Per.Duration()
	}
	return &localratelimitv3.LocalRateLimit{
		StatPrefix: rateLimitStats,
		TokenBucket: &typev3.TokenBucket{
			MaxTokens:     cmp.Or(l.Burst, l.Requests),
			TokensPerFill: u32(l.Requests),
			FillInterval:  durationpb.New(max(per, 50*time.Millisecond)),
		},
		FilterEnabled:                  fraction(nil),
		FilterEnforced:                 fraction(nil),
		RateLimitedAsResourceExhausted: true,
	}
}
