package schema

import "cmp"

// VirtualGateway is the VirtualGateway kind.
type VirtualGateway struct {
	Meta
	Spec VirtualGatewaySpec
}

// VirtualGatewaySpec is spec of a VirtualGateway.
type VirtualGatewaySpec struct {
	AWSName              string            `json:"awsName,omitempty"`
	NamespaceSelector    *Selector         `json:"namespaceSelector,omitempty"`
	PodSelector          *Selector         `json:"podSelector,omitempty"`
	GatewayRouteSelector *Selector         `json:"gatewayRouteSelector,omitempty"`
	Listeners            []GatewayListener `json:"listeners,omitempty"`
	BackendDefaults      *BackendDefaults  `json:"backendDefaults,omitempty"`
	Logging              *Logging          `json:"logging,omitempty"`
	MeshRef              *MeshReference    `json:"meshRef,omitempty"`
}

// GatewayListener is a port on which the gateway takes requests.
type GatewayListener struct {
	PortMapping    PortMapping     `json:"portMapping"`
	TLS            *ListenerTLS    `json:"tls,omitempty"`
	HealthCheck    *HealthCheck    `json:"healthCheck,omitempty"`
	ConnectionPool *ConnectionPool `json:"connectionPool,omitempty"`
}

// GatewayRoute is the GatewayRoute kind.
type GatewayRoute struct {
	Meta
	// Gateway is the virtual gateway whose selectors pick the route.
	Gateway Key
	Spec    GatewayRouteSpec
}

// Field is the name of the field that holds the route's type; empty if it has
// none.
func (g *GatewayRoute) Field() string {
	switch s := g.Spec; {
	case s.HTTPRoute != nil:
		return "httpRoute"
	case s.HTTP2Route != nil:
		return "http2Route"
	case s.GRPCRoute != nil:
		return "grpcRoute"
	}
	return ""
}

// HTTP is what the route says as httpRoute or http2Route; nil if it is of
// another type.
func (g *GatewayRoute) HTTP() *GatewayHTTPRoute { return cmp.Or(g.Spec.HTTPRoute, g.Spec.HTTP2Route) }

// Match is what the route asks for, as the value that its type has; nil without
// a type.
func (g *GatewayRoute) Match() any {
	switch h := g.HTTP(); {
	case h != nil:
		return h.Match
	case g.Spec.GRPCRoute != nil:
		return g.Spec.GRPCRoute.Match
	}
	return nil
}

// Targets returns the target of the route's type: one, or none.
func (g *GatewayRoute) Targets() []GatewayTarget {
	switch h := g.HTTP(); {
	case h != nil:
		return []GatewayTarget{h.Action.Target}
	case g.Spec.GRPCRoute != nil:
		return []GatewayTarget{g.Spec.GRPCRoute.Action.Target}
	}
	return nil
}

// Hostname returns the match of the route's type on the authority; nil: every
// hostname.
func (g *GatewayRoute) Hostname() *HostnameMatch {
	switch h := g.HTTP(); {
	case h != nil:
		return h.Match.Hostname
	case g.Spec.GRPCRoute != nil:
		return g.Spec.GRPCRoute.Match.Hostname
	}
	return nil
}

// GatewayRouteSpec is spec of a GatewayRoute: exactly one of the types.
type GatewayRouteSpec struct {
	AWSName           string            `json:"awsName,omitempty"`
	Priority          *uint32           `json:"priority,omitempty"`
	HTTPRoute         *GatewayHTTPRoute `json:"httpRoute,omitempty"`
	HTTP2Route        *GatewayHTTPRoute `json:"http2Route,omitempty"`
	GRPCRoute         *GatewayGRPCRoute `json:"grpcRoute,omitempty"`
	MeshRef           *MeshReference    `json:"meshRef,omitempty"`
	VirtualGatewayRef *GatewayReference `json:"virtualGatewayRef,omitempty"`
	Derived           *DerivedGateway   `json:"derived,omitempty"` // in no document
}

// GatewayReference is virtualGatewayRef, which the controller fills in.
type GatewayReference struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace,omitempty"`
	UID       string `json:"uid,omitempty"`
}

// HostnameMatch is exact or a suffix.
type HostnameMatch struct {
	Exact  string `json:"exact,omitempty"`
	Suffix string `json:"suffix,omitempty"`
}

// GatewayHTTPRoute is httpRoute and http2Route of a GatewayRoute.
type GatewayHTTPRoute struct {
	Match  HTTPMatch     `json:"match"`
	Action GatewayAction `json:"action"`
}

// GatewayGRPCRoute is grpcRoute of a GatewayRoute.
type GatewayGRPCRoute struct {
	Match  GRPCMatch     `json:"match"`
	Action GatewayAction `json:"action"`
}

// GatewayAction sends requests to a virtual service.
type GatewayAction struct {
	Target  GatewayTarget   `json:"target"`
	Rewrite *GatewayRewrite `json:"rewrite,omitempty"`
}

// GatewayTarget names the virtual service.
type GatewayTarget struct {
	VirtualService GatewayTargetService `json:"virtualService"`
	Port           uint32               `json:"port,omitempty"`
}

// GatewayTargetService names it by reference or ARN.
type GatewayTargetService struct {
	VirtualServiceRef *Reference `json:"virtualServiceRef,omitempty"`
	VirtualServiceARN string     `json:"virtualServiceARN,omitempty"`
}

// GatewayRewrite changes the request before the target's routes see it.
type GatewayRewrite struct {
	Hostname *HostnameRewrite `json:"hostname,omitempty"`
	Prefix   *PrefixRewrite   `json:"prefix,omitempty"`
	Path     *PathRewrite     `json:"path,omitempty"`
}

// HostnameRewrite: DISABLED keeps the request's hostname.
type HostnameRewrite struct {
	DefaultTargetHostname string `json:"defaultTargetHostname,omitempty"`
}

// PrefixRewrite replaces the matched prefix.
type PrefixRewrite struct {
	DefaultPrefix string `json:"defaultPrefix,omitempty"`
	Value         string `json:"value,omitempty"`
}

// PathRewrite replaces the path.
type PathRewrite struct {
	Exact string `json:"exact,omitempty"`
}
