package schema

import "cmp"

// RoutePolicy is the RoutePolicy kind, one of ours: what App Mesh's routes
// could not do, for the routes that it targets.
type RoutePolicy struct {
	Meta
	Spec RoutePolicySpec
}

// RoutePolicySpec is spec of a RoutePolicy.
type RoutePolicySpec struct {
	Targets []RouteTarget `json:"targets"`
	RouteRules
	MeshRef *MeshReference `json:"meshRef,omitempty"`
}

// RouteTarget is a VirtualService, a VirtualRouter, some routes of one, or a
// GatewayRoute.
type RouteTarget struct {
	Kind      Kind     `json:"kind"`
	Name      string   `json:"name"`
	Namespace string   `json:"namespace,omitempty"`
	Routes    []string `json:"routes,omitempty"` // of a VirtualRouter; none: all
}

// In resolves the target of a policy of the given namespace.
func (t *RouteTarget) In(namespace string) Ref {
	return Ref{t.Kind, Reference{t.Name, t.Namespace}.In(namespace)}
}

// RouteRules are what may hold on a route; nil is nothing said.
type RouteRules struct {
	Mirror          *Mirror        `json:"mirror,omitempty"`
	RateLimit       *RateLimit     `json:"rateLimit,omitempty"`
	RetryPolicy     *RetryPolicy   `json:"retryPolicy,omitempty"`
	Timeout         *Timeout       `json:"timeout,omitempty"`
	Fault           *Fault         `json:"fault,omitempty"`
	RequestHeaders  *HeaderChanges `json:"requestHeaders,omitempty"`
	ResponseHeaders *HeaderChanges `json:"responseHeaders,omitempty"`
	CORS            *CORS          `json:"cors,omitempty"`
}

// Or returns the rules, and the others where they say nothing.
func (r RouteRules) Or(o RouteRules) RouteRules {
	return RouteRules{
		Mirror:          cmp.Or(r.Mirror, o.Mirror),
		RateLimit:       cmp.Or(r.RateLimit, o.RateLimit),
		RetryPolicy:     cmp.Or(r.RetryPolicy, o.RetryPolicy),
		Timeout:         cmp.Or(r.Timeout, o.Timeout),
		Fault:           cmp.Or(r.Fault, o.Fault),
		RequestHeaders:  cmp.Or(r.RequestHeaders, o.RequestHeaders),
		ResponseHeaders: cmp.Or(r.ResponseHeaders, o.ResponseHeaders),
		CORS:            cmp.Or(r.CORS, o.CORS),
	}
}

// Mirror sends copies of requests to a virtual node; their answers are dropped.
type Mirror struct {
	VirtualNodeRef Reference `json:"virtualNodeRef"`
	Port           uint32    `json:"port,omitempty"`    // the node's listener; needed where it has several
	Percent        *uint32   `json:"percent,omitempty"` // of the requests; nil: all
}

// RateLimit is what each proxy lets through by itself.
type RateLimit struct {
	Requests uint32    `json:"requests"`
	Per      *Duration `json:"per,omitempty"`   // nil: a second
	Burst    uint32    `json:"burst,omitempty"` // at once, after a pause; 0: Requests
}

// Fault is what happens to requests on purpose.
type Fault struct {
	Delay   *Delay        `json:"delay,omitempty"`
	Abort   *Abort        `json:"abort,omitempty"`
	Headers []HeaderMatch `json:"headers,omitempty"` // only to requests with all of them
}

// Delay makes requests wait.
type Delay struct {
	Duration Duration `json:"duration"`
	Percent  *uint32  `json:"percent,omitempty"` // nil: all
}

// Abort answers in the target's place.
type Abort struct {
	HTTPStatus uint32  `json:"httpStatus,omitempty"`
	GRPCStatus string  `json:"grpcStatus,omitempty"` // or, as unavailable
	Percent    *uint32 `json:"percent,omitempty"`    // nil: all
}

// HeaderChanges happen to the headers of requests or responses; removals first.
type HeaderChanges struct {
	Set    []Header `json:"set,omitempty"` // replaces what is there
	Add    []Header `json:"add,omitempty"` // to what is there
	Remove []string `json:"remove,omitempty"`
}

// Header is a name and a value, which is taken to the letter.
type Header struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// CORS says which scripts of other origins may call.
type CORS struct {
	AllowOrigins     []OriginMatch `json:"allowOrigins"`
	AllowMethods     []string      `json:"allowMethods,omitempty"`
	AllowHeaders     []string      `json:"allowHeaders,omitempty"`
	ExposeHeaders    []string      `json:"exposeHeaders,omitempty"`
	MaxAge           *Duration     `json:"maxAge,omitempty"`
	AllowCredentials bool          `json:"allowCredentials,omitempty"`
}

// OriginMatch is one of three conditions on an origin.
type OriginMatch struct {
	Exact  string `json:"exact,omitempty"`
	Suffix string `json:"suffix,omitempty"`
	Regex  string `json:"regex,omitempty"`
}
