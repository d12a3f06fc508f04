package translate_test

import (
	"testing"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds/translate"
)

func TestMatchWords(t *testing.T) {
	for want, r := range map[string]*schema.Route{
		"GET, prefix /api, port 80":                {HTTPRoute: &schema.HTTPRoute{Match: schema.HTTPMatch{Prefix: "/api", Method: "GET", Port: 80}}},
		"path /a":                                  {HTTP2Route: &schema.HTTPRoute{Match: schema.HTTPMatch{Path: &schema.PathMatch{Exact: "/a"}}}},
		"gRPC, prefix /shop.Cart/":                 {GRPCRoute: &schema.GRPCRoute{Match: schema.GRPCMatch{ServiceName: "shop.Cart"}}},
		"gRPC, path /shop.Cart/Add":                {GRPCRoute: &schema.GRPCRoute{Match: schema.GRPCMatch{ServiceName: "shop.Cart", MethodName: "Add"}}},
		"gRPC, any method, header x-a is there":    {GRPCRoute: &schema.GRPCRoute{Match: schema.GRPCMatch{Metadata: []schema.HeaderMatch{{Name: "x-a"}}}}},
		"connections":                              {TCPRoute: &schema.TCPRoute{}},
		"connections to port 5432":                 {TCPRoute: &schema.TCPRoute{Match: &schema.TCPMatch{Port: 5432}}},
		"prefix /, not: header x-a starts with b":  {HTTPRoute: &schema.HTTPRoute{Match: schema.HTTPMatch{Headers: []schema.HeaderMatch{{Name: "x-a", Invert: true, Match: &schema.HeaderValue{Prefix: "b"}}}}}},
		"prefix /, query parameter tenant is blue": {HTTPRoute: &schema.HTTPRoute{Match: schema.HTTPMatch{QueryParameters: []schema.QueryParameter{{Name: "tenant", Match: &schema.QueryMatch{Exact: "blue"}}}}}},
	} {
		if got := translate.MatchWords(r); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	g := &schema.GatewayRoute{Spec: schema.GatewayRouteSpec{HTTPRoute: &schema.GatewayHTTPRoute{Match: schema.HTTPMatch{Prefix: "/", Hostname: &schema.HostnameMatch{Suffix: ".example.com"}}}}}
	if got := translate.GatewayMatchWords(g); got != "host *.example.com, prefix /" {
		t.Errorf("%q", got)
	}
}
