package schema

import "cmp"

// ListenerPolicy is the ListenerPolicy kind, one of ours: what App Mesh's
// listeners could not do, for those that it targets.
type ListenerPolicy struct {
	Meta
	Spec ListenerPolicySpec
}

// ListenerPolicySpec is spec of a ListenerPolicy.
type ListenerPolicySpec struct {
	Targets []ListenerTarget `json:"targets"`
	ListenerRules
	MeshRef *MeshReference `json:"meshRef,omitempty"`
}

// ListenerTarget is a VirtualNode or a VirtualGateway, or one of its listeners.
type ListenerTarget struct {
	Kind      Kind   `json:"kind"`
	Name      string `json:"name"`
	Namespace string `json:"namespace,omitempty"`
	Port      uint32 `json:"port,omitempty"` // 0: all
}

// In resolves the target of a policy of the given namespace.
func (t *ListenerTarget) In(namespace string) Ref {
	return Ref{t.Kind, Reference{t.Name, t.Namespace}.In(namespace)}
}

// ListenerRules are what may hold at a listener; nil is nothing said.
type ListenerRules struct {
	RateLimit             *RateLimit             `json:"rateLimit,omitempty"`
	JWT                   *JWT                   `json:"jwt,omitempty"`
	ExternalAuthorization *ExternalAuthorization `json:"externalAuthorization,omitempty"`
	LoadBalancing         *LoadBalancing         `json:"loadBalancing,omitempty"`
}

// Or returns the rules, and the others where they say nothing.
func (r ListenerRules) Or(o ListenerRules) ListenerRules {
	return ListenerRules{
		RateLimit:             cmp.Or(r.RateLimit, o.RateLimit),
		JWT:                   cmp.Or(r.JWT, o.JWT),
		ExternalAuthorization: cmp.Or(r.ExternalAuthorization, o.ExternalAuthorization),
		LoadBalancing:         cmp.Or(r.LoadBalancing, o.LoadBalancing),
	}
}

// JWT lets only requests in that bear a token of one of the issuers.
type JWT struct {
	Issuers  []JWTIssuer `json:"issuers"`
	Optional bool        `json:"optional,omitempty"` // a request may have no token, but no bad one
	Except   []string    `json:"except,omitempty"`   // paths that need none, and what is below them
}

// JWTIssuer is who signs tokens.
type JWTIssuer struct {
	Issuer       string        `json:"issuer"`
	Audiences    []string      `json:"audiences,omitempty"` // one of these; none: any
	JWKS         JWKS          `json:"jwks"`
	ClaimHeaders []ClaimHeader `json:"claimHeaders,omitempty"`
}

// JWKS are an issuer's keys: written here, or asked of a virtual service.
type JWKS struct {
	Inline  string      `json:"inline,omitempty"`
	Service *JWKSSource `json:"service,omitempty"`
}

// JWKSSource is where the keys are asked for.
type JWKSSource struct {
	VirtualServiceRef Reference `json:"virtualServiceRef"`
	Port              uint32    `json:"port,omitempty"`
	Path              string    `json:"path"`
	Cache             *Duration `json:"cache,omitempty"` // nil: 5 minutes
}

// ClaimHeader shows a claim of a good token to the application.
type ClaimHeader struct {
	Claim  string `json:"claim"`
	Header string `json:"header"`
}

// ExternalAuthorization asks a virtual service about each request: by gRPC
// (envoy.service.auth.v3.Authorization), where it answers on grpc, else by HTTP.
type ExternalAuthorization struct {
	VirtualServiceRef Reference `json:"virtualServiceRef"`
	Port              uint32    `json:"port,omitempty"`
	Timeout           *Duration `json:"timeout,omitempty"`         // nil: 200 ms
	FailOpen          bool      `json:"failOpen,omitempty"`        // without an answer requests pass
	MaxBody           uint32    `json:"maxBody,omitempty"`         // bytes of the body that are shown
	Path              string    `json:"path,omitempty"`            // HTTP: before the request's own
	RequestHeaders    []string  `json:"requestHeaders,omitempty"`  // HTTP: that are shown, beside Authorization
	ResponseHeaders   []string  `json:"responseHeaders,omitempty"` // HTTP: of the answer, that the request gets
}

// LoadBalancing is how clients choose among the endpoints of a node.
type LoadBalancing struct {
	Algorithm Algorithm `json:"algorithm"`
	HashOn    []HashKey `json:"hashOn,omitempty"`
}

// Algorithm of load balancing.
type Algorithm string

// The algorithms. The last two keep requests of one hash at one endpoint.
const (
	RoundRobin   Algorithm = "ROUND_ROBIN"
	LeastRequest Algorithm = "LEAST_REQUEST"
	Random       Algorithm = "RANDOM"
	RingHash     Algorithm = "RING_HASH"
	Maglev       Algorithm = "MAGLEV"
)

// Hashes reports whether the algorithm chooses by a hash of the request.
func (a Algorithm) Hashes() bool { return a == RingHash || a == Maglev }

// HashKey is one of four things of a request that are hashed.
type HashKey struct {
	Header         string   `json:"header,omitempty"`
	QueryParameter string   `json:"queryParameter,omitempty"`
	Cookie         string   `json:"cookie,omitempty"`
	CookieTTL      Duration `json:"cookieTTL"` // above 0: callers without the cookie get one
	SourceAddress  bool     `json:"sourceAddress,omitempty"`
}
