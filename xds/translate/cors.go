package translate

import (
	"strconv"
	"strings"

	corsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cors/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshwright/meshwright/schema"
)

// corsOn answers browsers that ask before they call a route, and tells them
// who may read its responses.
func corsOn(r *schema.RouteRules) proto.Message {
	c := r.CORS
	if c == nil {
		return nil
	}
	out := &corsv3.CorsPolicy{
		AllowMethods:  strings.Join(c.AllowMethods, ","),
		AllowHeaders:  strings.Join(c.AllowHeaders, ","),
		ExposeHeaders: strings.Join(c.ExposeHeaders, ","),
	}
	for _, o := range c.AllowOrigins {
		s := &matcherv3.StringMatcher{}
		switch {
		case o.Exact != "":
			s.MatchPattern = &matcherv3.StringMatcher_Exact{Exact: o.Exact}
		case o.Suffix != "":
			s.MatchPattern = &matcherv3.StringMatcher_Suffix{Suffix: o.Suffix}
		default:
			s.MatchPattern = &matcherv3.StringMatcher_SafeRegex{SafeRegex: &matcherv3.RegexMatcher{Regex: o.Regex}}
		}
		out.AllowOriginStringMatch = append(out.AllowOriginStringMatch, s)
	}
	if c.MaxAge != nil {
		out.MaxAge = strconv.FormatInt(int64(c.MaxAge.Duration().Seconds()), 10)
	}
	if c.AllowCredentials {
		out.AllowCredentials = wrapperspb.Bool(true)
	}
	return out
}
