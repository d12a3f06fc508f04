package translate

import routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

// RouteOf lets tests ask which route of a table takes a request.
func RouteOf(table *routev3.RouteConfiguration, authority, method, path string, header map[string][]string) (*routev3.Route, error) {
	return routeOf(virtualHost(table, authority), newCall(authority, method, normalized(path), header))
}
