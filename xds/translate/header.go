package translate

import (
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/meshwright/meshwright/schema"
)

// setHeaders makes a route change headers of its requests and responses. Envoy
// removes before it sets and adds.
func setHeaders(r *routev3.Route, rules *schema.RouteRules) {
	if c := rules.RequestHeaders; c != nil {
		r.RequestHeadersToAdd, r.RequestHeadersToRemove = headerOptions(c), c.Remove
	}
	if c := rules.ResponseHeaders; c != nil {
		r.ResponseHeadersToAdd, r.ResponseHeadersToRemove = headerOptions(c), c.Remove
	}
}

func headerOptions(c *schema.HeaderChanges) []*corev3.HeaderValueOption {
	var out []*corev3.HeaderValueOption
	add := func(h schema.Header, action corev3.HeaderValueOption_HeaderAppendAction) {
		out = append(out, &corev3.HeaderValueOption{
			Header:         &corev3.HeaderValue{Key: h.Name, Value: strings.ReplaceAll(h.Value, "%", "%%")}, // not a command operator
			AppendAction:   action,
			KeepEmptyValue: true,
		})
	}
	for _, h := range c.Set {
		add(h, corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD)
	}
	for _, h := range c.Add {
		add(h, corev3.HeaderValueOption_APPEND_IF_EXISTS_OR_ADD)
	}
	return out
}
