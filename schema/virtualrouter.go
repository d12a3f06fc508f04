package schema

import "cmp"

// VirtualRouter is the VirtualRouter kind.
type VirtualRouter struct {
	Meta
	Spec VirtualRouterSpec
}

// VirtualRouterSpec is spec of a VirtualRouter.
type VirtualRouterSpec struct {
	AWSName   string           `json:"awsName,omitempty"`
	Listeners []RouterListener `json:"listeners,omitempty"`
	Routes    []Route          `json:"routes,omitempty"`
	MeshRef   *MeshReference   `json:"meshRef,omitempty"`
}

// RouterListener is a port that the router's virtual service answers on.
type RouterListener struct {
	PortMapping PortMapping `json:"portMapping"`
}

// Route is one of the four types.
type Route struct {
	Name       string     `json:"name"`
	Priority   *uint32    `json:"priority,omitempty"` // 0 first; absent last
	HTTPRoute  *HTTPRoute `json:"httpRoute,omitempty"`
	HTTP2Route *HTTPRoute `json:"http2Route,omitempty"`
	GRPCRoute  *GRPCRoute `json:"grpcRoute,omitempty"`
	TCPRoute   *TCPRoute  `json:"tcpRoute,omitempty"`
	Derived    *Derived   `json:"derived,omitempty"` // in no document
}

// Protocol is that of the route's type; empty if it has none.
func (r *Route) Protocol() Protocol {
	switch {
	case r.HTTPRoute != nil:
		return ProtocolHTTP
	case r.HTTP2Route != nil:
		return ProtocolHTTP2
	case r.GRPCRoute != nil:
		return ProtocolGRPC
	case r.TCPRoute != nil:
		return ProtocolTCP
	}
	return ""
}

// Field is the name of the field that holds the route's type.
func (r *Route) Field() string { return string(r.Protocol()) + "Route" }

// HTTP is what the route says as httpRoute or http2Route; nil if it is of
// another type.
func (r *Route) HTTP() *HTTPRoute { return cmp.Or(r.HTTPRoute, r.HTTP2Route) }

// Match is what the route asks for, as the value that its type has; no match of
// TCP is an empty one.
func (r *Route) Match() any {
	switch h := r.HTTP(); {
	case h != nil:
		return h.Match
	case r.GRPCRoute != nil:
		return r.GRPCRoute.Match
	case r.TCPRoute != nil && r.TCPRoute.Match != nil:
		return *r.TCPRoute.Match
	}
	return TCPMatch{}
}

// Targets returns the route's weighted targets, whatever its type.
func (r *Route) Targets() []WeightedTarget {
	switch h := r.HTTP(); {
	case h != nil:
		return h.Action.WeightedTargets
	case r.GRPCRoute != nil:
		return r.GRPCRoute.Action.WeightedTargets
	case r.TCPRoute != nil:
		return r.TCPRoute.Action.WeightedTargets
	}
	return nil
}

// Timeout is what the route says about timeouts; nil if that is nothing.
func (r *Route) Timeout() *Timeout {
	switch h := r.HTTP(); {
	case h != nil:
		return h.Timeout
	case r.GRPCRoute != nil:
		return r.GRPCRoute.Timeout
	case r.TCPRoute != nil:
		return r.TCPRoute.Timeout
	}
	return nil
}

// RetryPolicy is what the route says about retries; nil if that is nothing.
func (r *Route) RetryPolicy() *RetryPolicy {
	switch h := r.HTTP(); {
	case h != nil:
		return h.RetryPolicy
	case r.GRPCRoute != nil:
		return r.GRPCRoute.RetryPolicy
	}
	return nil
}

// HTTPRoute is httpRoute and http2Route.
type HTTPRoute struct {
	Match       HTTPMatch    `json:"match"`
	Action      RouteAction  `json:"action"`
	RetryPolicy *RetryPolicy `json:"retryPolicy,omitempty"`
	Timeout     *Timeout     `json:"timeout,omitempty"`
}

// GRPCRoute is grpcRoute.
type GRPCRoute struct {
	Match       GRPCMatch    `json:"match"`
	Action      RouteAction  `json:"action"`
	RetryPolicy *RetryPolicy `json:"retryPolicy,omitempty"`
	Timeout     *Timeout     `json:"timeout,omitempty"`
}

// TCPRoute is tcpRoute.
type TCPRoute struct {
	Match   *TCPMatch   `json:"match,omitempty"`
	Action  RouteAction `json:"action"`
	Timeout *Timeout    `json:"timeout,omitempty"`
}

// RouteAction spreads requests over virtual nodes.
type RouteAction struct {
	WeightedTargets []WeightedTarget `json:"weightedTargets"`
}

// WeightedTarget is a virtual node and its relative weight. Weight 0 keeps the
// node warm and sends it nothing.
type WeightedTarget struct {
	VirtualNodeRef *Reference `json:"virtualNodeRef,omitempty"`
	VirtualNodeARN string     `json:"virtualNodeARN,omitempty"`
	Weight         uint32     `json:"weight"`
	Port           uint32     `json:"port,omitempty"` // the node's listener; needed where it has several
}

// HTTPMatch is the condition of a route; all of its parts must hold.
type HTTPMatch struct {
	Prefix          string           `json:"prefix,omitempty"`
	Path            *PathMatch       `json:"path,omitempty"`
	Method          string           `json:"method,omitempty"`
	Scheme          string           `json:"scheme,omitempty"`
	Headers         []HeaderMatch    `json:"headers,omitempty"`
	QueryParameters []QueryParameter `json:"queryParameters,omitempty"`
	Port            uint32           `json:"port,omitempty"`
	Hostname        *HostnameMatch   `json:"hostname,omitempty"` // gateway routes only
}

// PathMatch is exact or a regular expression (RE2, the whole path).
type PathMatch struct {
	Exact string `json:"exact,omitempty"`
	Regex string `json:"regex,omitempty"`
}

// HeaderMatch is a condition on a header or, for gRPC, a metadata entry.
// Without Match the header must be there.
type HeaderMatch struct {
	Name   string       `json:"name"`
	Invert bool         `json:"invert,omitempty"`
	Match  *HeaderValue `json:"match,omitempty"`
}

// HeaderValue is one of five conditions on a value.
type HeaderValue struct {
	Exact  string      `json:"exact,omitempty"`
	Prefix string      `json:"prefix,omitempty"`
	Suffix string      `json:"suffix,omitempty"`
	Regex  string      `json:"regex,omitempty"`
	Range  *MatchRange `json:"range,omitempty"`
}

// MatchRange is [Start, End).
type MatchRange struct {
	Start int64 `json:"start"`
	End   int64 `json:"end"`
}

// QueryParameter is a condition on a query parameter; without Match it must
// be there.
type QueryParameter struct {
	Name  string      `json:"name"`
	Match *QueryMatch `json:"match,omitempty"`
}

// QueryMatch is an exact value.
type QueryMatch struct {
	Exact string `json:"exact,omitempty"`
}

// GRPCMatch is the condition of a gRPC route.
type GRPCMatch struct {
	ServiceName string         `json:"serviceName,omitempty"`
	MethodName  string         `json:"methodName,omitempty"`
	Metadata    []HeaderMatch  `json:"metadata,omitempty"`
	Port        uint32         `json:"port,omitempty"`
	Hostname    *HostnameMatch `json:"hostname,omitempty"` // gateway routes only
}

// TCPMatch is the condition of a TCP route.
type TCPMatch struct {
	Port uint32 `json:"port,omitempty"`
}

// RetryPolicy of a route. Where none is written App Mesh's default holds;
// MaxRetries 0 turns retries off.
type RetryPolicy struct {
	MaxRetries      uint32   `json:"maxRetries"`
	PerRetryTimeout Duration `json:"perRetryTimeout"`
	HTTPRetryEvents []string `json:"httpRetryEvents,omitempty"`
	TCPRetryEvents  []string `json:"tcpRetryEvents,omitempty"`
	GRPCRetryEvents []string `json:"grpcRetryEvents,omitempty"`
}
