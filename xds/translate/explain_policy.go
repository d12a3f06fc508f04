package translate

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	corsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cors/v3"
	extauthzv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	faultv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/fault/v3"
	jwtauthnv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/jwt_authn/v3"
	localratelimitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/local_ratelimit/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
)

// policies says what policies do at a listener and on a route, a sentence each,
// in the order in which it happens to a request.
func (x *explainer) policies(m *hcmv3.HttpConnectionManager, r *routev3.Route) ([]string, error) {
	var all []string
	for _, f := range m.HttpFilters {
		packed := f.GetTypedConfig()
		if here := r.TypedPerFilterConfig[f.Name]; here != nil {
			packed = here
		}
		m, err := packed.UnmarshalNew()
		if err != nil {
			return nil, fmt.Errorf("route %s: filter %s: %w", r.Name, f.Name, err)
		}
		switch m := m.(type) {
		case *jwtauthnv3.JwtAuthentication:
			all = append(all, "a token is asked for, of "+strings.Join(slices.Sorted(maps.Keys(m.Providers)), " or "))
		case *extauthzv3.ExtAuthz:
			to := cmp.Or(m.GetGrpcService().GetEnvoyGrpc().GetClusterName(), m.GetHttpService().GetServerUri().GetCluster())
			all = append(all, x.called(to)+" is asked about it")
		case *corsv3.CorsPolicy:
			var from []string
			for _, o := range m.AllowOriginStringMatch {
				from = append(from, describeString(o))
			}
			all = append(all, "scripts may call whose origin "+strings.Join(from, " or "))
		case *localratelimitv3.LocalRateLimit:
			if m.TokenBucket != nil {
				all = append(all, describeRateLimit(m))
			}
		case *faultv3.HTTPFault:
			if m.Delay != nil || m.Abort != nil {
				all = append(all, describeFault(m))
			}
		}
	}
	for _, m := range r.GetRoute().GetRequestMirrorPolicies() {
		all = append(all, share(m.RuntimeFraction.GetDefaultValue())+" mirrored to "+x.called(m.Cluster))
	}
	all = append(all, describeHeaders("request", r.RequestHeadersToAdd, r.RequestHeadersToRemove)...)
	return append(all, describeHeaders("response", r.ResponseHeadersToAdd, r.ResponseHeadersToRemove)...), nil
}

// called is what people call a cluster: its virtual node.
func (x *explainer) called(cluster string) string {
	if n, _ := x.nodeOf(cluster); n != nil {
		return n.Ref.String()
	}
	return cluster
}

// describeHeaders: "request headers: x-env set, x-debug removed".
func describeHeaders(of string, changed []*corev3.HeaderValueOption, removed []string) []string {
	var changes []string
	for _, name := range removed {
		changes = append(changes, name+" removed")
	}
	for _, h := range changed {
		did := " set"
		if h.AppendAction == corev3.HeaderValueOption_APPEND_IF_EXISTS_OR_ADD {
			did = " added"
		}
		changes = append(changes, h.Header.Key+did)
	}
	if changes == nil {
		return nil
	}
	return []string{of + " headers: " + strings.Join(changes, ", ")}
}

func describeRateLimit(m *localratelimitv3.LocalRateLimit) string {
	b := m.TokenBucket
	s := fmt.Sprintf("each proxy lets %d through in %s", b.TokensPerFill.GetValue(), b.FillInterval.AsDuration())
	if b.MaxTokens != b.TokensPerFill.GetValue() {
		s += fmt.Sprintf(", %d at once", b.MaxTokens)
	}
	return s
}

func describeFault(m *faultv3.HTTPFault) string {
	var parts []string
	if d := m.Delay; d != nil {
		parts = append(parts, share(d.Percentage)+" delayed by "+d.GetFixedDelay().AsDuration().String())
	}
	if a := m.Abort; a != nil {
		status := strconv.Itoa(int(a.GetHttpStatus()))
		for name, code := range grpcStatus {
			if a.GetGrpcStatus() == code {
				status = name
			}
		}
		parts = append(parts, share(a.Percentage)+" answered with "+status)
	}
	s := "on purpose " + strings.Join(parts, ", ")
	for i, h := range m.Headers {
		s += [...]string{" where ", " and "}[min(i, 1)] + h.Name + " " + describeHeader(h)
	}
	return s
}

// share spells a share of the requests.
func share(p *typev3.FractionalPercent) string {
	if p.GetNumerator() == 100 {
		return "all"
	}
	return strconv.Itoa(int(p.GetNumerator())) + " %"
}
