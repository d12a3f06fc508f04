package translate

import (
	"cmp"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extauthzv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/meshwright/meshwright/schema"
)

// authz asks a virtual service about each request. Which routes a request can
// take does not change by the answer.
func (b *builder) authz(owner schema.Resource, a *schema.ExternalAuthorization) *extauthzv3.ExtAuthz {
	timeout := 200 * time.Millisecond
	if a.Timeout != nil {
		timeout = a.Timeout.Duration()
	}
	out := &extauthzv3.ExtAuthz{TransportApiVersion: corev3.ApiVersion_V3, FailureModeAllow: a.FailOpen}
	if a.MaxBody > 0 {
		out.WithRequestBody = &extauthzv3.BufferSettings{MaxRequestBytes: a.MaxBody, AllowPartialMessage: true}
	}
	to := b.ask(owner, a.VirtualServiceRef, a.Port)
	if to.protocol == schema.ProtocolGRPC {
		out.Services = &extauthzv3.ExtAuthz_GrpcService{GrpcService: &corev3.GrpcService{
			TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{
				ClusterName: cmp.Or(to.cluster, noCluster), Authority: to.host,
			}},
			Timeout: durationpb.New(timeout),
		}}
		return out
	}
	out.Services = &extauthzv3.ExtAuthz_HttpService{HttpService: &extauthzv3.HttpService{
		ServerUri:  to.uri("", timeout),
		PathPrefix: a.Path,
		AuthorizationResponse: &extauthzv3.AuthorizationResponse{
			AllowedUpstreamHeaders: names(a.ResponseHeaders),
		},
	}}
	if len(a.RequestHeaders) > 0 {
		out.AllowedHeaders = names(append([]string{"authorization"}, a.RequestHeaders...))
	}
	return out
}

// names matches headers by name; nil for none.
func names(headers []string) *matcherv3.ListStringMatcher {
	if len(headers) == 0 {
		return nil
	}
	out := &matcherv3.ListStringMatcher{}
	for _, h := range headers {
		m := exact(h)
		m.IgnoreCase = true
		out.Patterns = append(out.Patterns, m)
	}
	return out
}
