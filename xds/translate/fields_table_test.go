package translate_test

import "regexp"

// state is what became of a field.
type state string

const (
	works  state = "works"  // it does what it did in App Mesh
	mapped state = "mapped" // something else does what it did
	warned state = "warned" // it has no effect, and whoever writes it is told
)

// fieldRow says of fields what became of them. docs/app-mesh-fields.md is made
// of these rows: a field is in the first that matches it.
type fieldRow struct {
	fields  *regexp.Regexp // of kind and path
	state   state
	on      string // where a changed value shows: "wire", or "diagnostics" for what nothing is sent of
	becomes string
	traffic string // the cases of fixtures/traffic that show it, as globs
}

func field(pattern string, s state, on, becomes, traffic string) fieldRow {
	return fieldRow{regexp.MustCompile("^(?:" + pattern + ")$"), s, on, becomes, traffic}
}

const wire, diagnostics = "wire", "diagnostics"

var fieldRows = []fieldRow{
	// Who belongs where.
	field(`Mesh awsName`, works, wire, "the mesh in names on the wire and in identities", ""),
	field(`Virtual(Node|Service|Gateway) awsName`, works, wire, "the name on the wire; of a service, what callers call it", "names_*"),
	field(`VirtualRouter awsName`, works, diagnostics, "what ARNs name it by", ""),
	field(`GatewayRoute awsName`, works, wire, "the name of the route", ""),
	field(`.* meshRef\.name`, works, diagnostics, "must be the mesh that selects the namespace; it decides where no labels are known", ""),
	field(`.* meshRef\.uid`, works, diagnostics, "must be that of the mesh, where both are written", ""),
	field(`GatewayRoute virtualGatewayRef\.(name|namespace)`, works, diagnostics, "must be a gateway that selects the route; it decides between several", ""),
	field(`GatewayRoute virtualGatewayRef\.uid`, works, diagnostics, "must be that of the gateway, where both are written", ""),
	field(`Mesh namespaceSelector\..*`, works, diagnostics, "which namespaces are the mesh's", ""),
	field(`VirtualGateway (namespaceSelector|gatewayRouteSelector)\..*`, works, diagnostics, "which gateway routes are the gateway's", "gateway_selector"),
	field(`.* podSelector\..*`, mapped, diagnostics, "a proxy says in its bootstrap whom it stands for; two that select the same pods are refused", ""),
	field(`Mesh meshOwner`, warned, "", "a repository is a mesh's only owner", ""),

	// The mesh's settings.
	field(`Mesh egressFilter\.type`, works, wire, "`ALLOW_ALL`: a cluster of the original destination for what is no backend", "egress_*"),
	field(`Mesh meshServiceDiscovery\.ipPreference`, works, wire, "`dns_lookup_family`, and the address family of listeners", "dns_ipv*"),

	// What is called, and by whom.
	field(`BackendGroup .*`, works, wire, "backends of the nodes that name the group", "groups_*"),
	field(`VirtualNode backendGroups\[\]\..*`, works, wire, "the backends of the group; of `*`, all of the mesh", "groups_*"),
	field(`VirtualNode backends\[\]\.virtualService\.virtualService(Ref\..*|ARN)`, works, wire, "a virtual host, of TCP a filter chain; an ARN by the name in it", "groups_* backends_* names_*"),
	field(`VirtualService provider\..*`, works, wire, "whose clusters the service's routes lead to; an ARN by the name in it", "retry_provider_node provider_* gateway_*"),

	// Listeners.
	field(`Virtual(Node|Router) listeners\[\]\.portMapping\..*`, works, wire, "a filter chain, and what its clients' clusters speak", "listeners_* http2_* tcp_port"),
	field(`VirtualGateway listeners\[\]\.portMapping\..*`, works, wire, "a listener of its own", "gateway_ports gateway_http2 gateway_grpc"),
	field(`VirtualNode listeners\[\]\.timeout\.tcp\.idle\..*`, works, wire, "`idle_timeout` of the TCP proxy", "tcp_idle"),
	field(`VirtualNode listeners\[\]\.timeout\..*\.perRequest\..*`, works, wire, "`timeout` of the inbound route; 15 s without, 0: none", "timeout_listener grpc_timeout"),
	field(`VirtualNode listeners\[\]\.timeout\..*\.idle\..*`, works, wire, "`idle_timeout` of the inbound route; 300 s without, 0: none", "timeout_idle timeout_listener"),
	field(`VirtualNode listeners\[\]\.connectionPool\..*`, works, wire, "circuit breakers of the application's cluster", "pool_*"),
	field(`VirtualGateway listeners\[\]\.connectionPool\..*`, works, wire, "circuit breakers of the clusters that the listener's routes lead to, each", "gateway_pool*"),
	field(`VirtualNode listeners\[\]\.healthCheck\..*`, works, wire, "health checks by its clients", "health_*"),
	field(`VirtualGateway listeners\[\]\.healthCheck\.(path|protocol)`, works, wire, "the gateway answers this path itself; of `grpc`: warned", "gateway_health"),
	field(`VirtualGateway listeners\[\]\.healthCheck\..*`, warned, "", "whoever asks, has them", ""),
	field(`VirtualNode listeners\[\]\.outlierDetection\..*`, works, wire, "ejection by consecutive server errors", "outlier_*"),

	// TLS.
	field(`.*\.tls\..*\.acm\..*`, mapped, wire, "what the daemon's certificate settings give it: a built-in authority, files; without one: warned", "tls_acm*"),
	field(`.* listeners\[\]\.tls\.mode`, works, wire, "filter chains with TLS, without, or both", "tls_* gateway_tls*"),
	field(`.* listeners\[\]\.tls\.certificate\..*`, works, wire, "a secret of those files, sent by this control plane; or of the proxy's own SDS server", "tls_* gateway_tls*"),
	field(`.* listeners\[\]\.tls\.validation\..*`, works, wire, "clients must show a certificate, which is checked for this", "tls_* gateway_tls*"),
	field(`.*lientPolicy\.tls\.enforce`, works, wire, "`false`: TLS where the server takes it", "tls_*"),
	field(`.*lientPolicy\.tls\.ports\[\]`, works, wire, "the ports that the policy is for", "tls_*"),
	field(`.*lientPolicy\.tls\.certificate\..*`, works, wire, "the client's certificate", "tls_*"),
	field(`.*lientPolicy\.tls\.validation\..*`, works, wire, "the server's certificate is checked for this", "tls_*"),

	// Discovery and logs.
	field(`VirtualNode serviceDiscovery\.dns\..*`, works, wire, "`LOGICAL_DNS`, or with `ENDPOINTS` `STRICT_DNS`", "dns_*"),
	field(`VirtualNode serviceDiscovery\.awsCloudMap\.attributes\[\]\..*`, mapped, diagnostics, "a filter of what this control plane asks Cloud Map for", "*cloud_map*"),
	field(`VirtualNode serviceDiscovery\.awsCloudMap\..*`, mapped, wire, "`EDS`: this control plane asks Cloud Map and sends the endpoints", "*cloud_map*"),
	field(`.* logging\.accessLog\.file\..*`, works, wire, "a file access log, in and out", "logs_* gateway_logs"),

	// Routes.
	field(`VirtualRouter routes\[\]\.name`, works, wire, "the name of the route; the last that decides its place", "route_*"),
	field(`VirtualRouter routes\[\]\.priority`, works, wire, "its place, 0 first", "route_priority route_order"),
	field(`.*\.match\.port`, works, wire, "the listeners that the route is on", "route_port tcp_port weights_ports gateway_ports"),
	field(`.*\.match\.(headers|metadata)\[\]\..*`, works, wire, "a condition on a header", "route_headers* grpc_metadata gateway_conditions gateway_inverted gateway_grpc"),
	field(`.*\.match\.prefix`, works, wire, "a plain prefix", "route_prefix gateway_paths"),
	field(`.*\.match\.path\.(exact|regex)`, works, wire, "an exact path, or RE2 of the whole path", "route_path gateway_paths"),
	field(`.*\.match\.method`, works, wire, "the header `:method`", "route_method gateway_conditions"),
	field(`.*\.match\.scheme`, works, wire, "the header `:scheme`", "route_scheme"),
	field(`.*\.match\.queryParameters\[\]\..*`, works, wire, "a condition on the query", "route_query gateway_conditions"),
	field(`.*\.match\.(serviceName|methodName)`, works, wire, "the path `/service/method`, or the prefix `/service/`", "grpc_match gateway_grpc"),
	field(`GatewayRoute .*\.match\.hostname\..*`, works, wire, "a virtual host", "gateway_hostname* gateway_grpc"),
	field(`VirtualRouter .*\.weightedTargets\[\]\.weight`, works, wire, "the weight of the cluster", "weights_* grpc_weights tcp_weights"),
	field(`VirtualRouter .*\.weightedTargets\[\]\.port`, works, wire, "which listener of the node", "weights_ports"),
	field(`VirtualRouter .*\.weightedTargets\[\]\.virtualNode(Ref\..*|ARN)`, works, wire, "the cluster of the node; an ARN by the name in it", "weights_split grpc_weights tcp_weights http2_*"),
	field(`VirtualRouter .*\.retryPolicy\.perRetryTimeout\..*`, works, wire, "`per_try_timeout`", "retry_per_try_timeout grpc_retry*"),
	field(`VirtualRouter .*\.retryPolicy\.maxRetries`, works, wire, "`num_retries`; 0 turns retries off", "retry_* grpc_retry*"),
	field(`VirtualRouter .*\.retryPolicy\..*Events\[\]`, works, wire, "`retry_on` and status codes", "retry_* grpc_retry*"),
	field(`VirtualRouter .*tcpRoute\.timeout\.idle\..*`, works, wire, "`idle_timeout` of the TCP proxy", "tcp_idle"),
	field(`VirtualRouter .*\.timeout\.idle\..*`, works, wire, "`idle_timeout` of the route; 300 s without, 0: none", "timeout_idle grpc_timeout"),
	field(`VirtualRouter .*\.timeout\.perRequest\..*`, works, wire, "`timeout` of the route; 15 s without, 0: none", "timeout_request grpc_timeout"),

	// Gateway routes.
	field(`GatewayRoute priority`, works, wire, "its place, 0 first", "gateway_priority"),
	field(`GatewayRoute .*\.rewrite\.hostname\..*`, works, wire, "by default the host becomes the service's name", "gateway_rewrite* gateway_grpc"),
	field(`GatewayRoute .*\.rewrite\..*`, works, wire, "a rewritten path, which the target's routes see", "gateway_rewrite*"),
	field(`GatewayRoute .*\.target\.port`, works, wire, "which port of the service", "gateway_target_port"),
	field(`GatewayRoute .*\.target\.virtualService\..*`, works, wire, "the routes of the service; an ARN by the name in it", "gateway_*"),

	// Our own kinds.
	field(`Endpoints (virtualNodeRef\..*|endpoints\[\]\.ports\[\]\.listener)`, works, diagnostics, "whose endpoints they are", "endpoints_*"),
	field(`Endpoints .*`, works, wire, "endpoints over `EDS`", "endpoints_*"),
	field(`RoutePolicy targets\[\]\..*`, works, wire, "which routes it governs", "policy_*"),
	field(`RoutePolicy mirror\..*`, works, wire, "copies to another node", "policy_mirror"),
	field(`RoutePolicy rateLimit\..*`, works, wire, "a local rate limit of the route", "policy_rate_limit"),
	field(`RoutePolicy fault\..*`, works, wire, "delays and aborts of the route", "policy_fault"),
	field(`RoutePolicy (request|response)Headers\..*`, works, wire, "headers set, added and removed", "policy_headers"),
	field(`RoutePolicy cors\..*`, works, wire, "CORS of the route", "policy_cors"),
	field(`ListenerPolicy targets\[\]\.(kind|namespace)|ListenerPolicy .*(virtualServiceRef\..*|\.port|\.inline)`, works, diagnostics, "which listener, and who is asked with which keys", "policy_*"),
	field(`ListenerPolicy targets\[\]\..*`, works, wire, "which listeners it governs", "policy_*"),
	field(`ListenerPolicy rateLimit\..*`, works, wire, "a local rate limit of the listener", "policy_listener_limit"),
	field(`ListenerPolicy jwt\..*`, works, wire, "tokens are checked before a request is let in", "policy_jwt* policy_authz*"),
	field(`ListenerPolicy externalAuthorization\..*`, works, wire, "a service is asked before a request is let in", "policy_jwt* policy_authz*"),
	field(`ListenerPolicy loadBalancing\..*`, works, wire, "how clients choose among the node's endpoints", "policy_balance*"),
	field(`RoutePolicy (retryPolicy|timeout)\..*`, works, wire, "as of a route, where that has none", "policy_retry_node policy_long_timeout"),
}
