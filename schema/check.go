package schema

// check is a rule that no shape can say.
type check struct {
	CodeDoc
	severity Severity
	// document holds a resource to the rule within its own document. It runs
	// when a file is read.
	document func(res Resource, report func(path, what, fix string))
	// tree holds the whole spec to it. It runs at each load.
	tree func(t *linker, report func(res Resource, path, what, fix string))
}

// checks are all such rules. Their codes are written here only: a code says
// what rule it is, docs/diagnostics.md what to do.
var checks = []check{
	{CodeDoc{"MW2010", "two resources of a mesh have one App Mesh name"}, Error, nil, sharedNames},
	{CodeDoc{"MW2011", "two virtual nodes or gateways select the same pods"}, Error, nil, sharedPods},
	{CodeDoc{"MW2012", "two Endpoints are for one virtual node"}, Error, nil, sharedHosts},
	{CodeDoc{"MW2013", "two policies say one thing of one target"}, Error, nil, sharedRules},
	{CodeDoc{"MW2014", "two rollouts govern one target"}, Error, nil, sharedTargets},

	{CodeDoc{"MW2101", "two listeners have one port"}, Error, sharedPorts, nil},
	{CodeDoc{"MW2102", "two routes of a router have one name"}, Error, sharedRouteNames, nil},
	{CodeDoc{"MW2103", "a backend is named twice"}, Error, sharedBackends, nil},
	{CodeDoc{"MW2104", "the weights of a route sum to 0"}, Error, zeroWeights, nil},
	{CodeDoc{"MW2105", "a rewrite does not go with its match"}, Error, rewrites, nil},
	{CodeDoc{"MW2106", "a regular expression is none"}, Error, regexes, nil},
	{CodeDoc{"MW2107", "a label selector is none"}, Error, selectors, nil},
	{CodeDoc{"MW2108", "a timeout or limit is of another protocol than its listener (a warning)"}, Warning, foreignProtocols, nil},
	{CodeDoc{"MW2109", "the address of an endpoint is none"}, Error, endpointAddresses, nil},
	{CodeDoc{"MW2110", "an endpoint is written twice"}, Error, sharedEndpoints, nil},
	{CodeDoc{"MW2111", "a policy changes a header that must be kept"}, Error, keptHeaders, nil},
	{CodeDoc{"MW2112", "a key set is none, or an issuer is written twice"}, Error, keySets, nil},
	{CodeDoc{"MW2113", "load balancing hashes nothing, or does not hash"}, Error, hashes, nil},
	{CodeDoc{"MW2114", "the format of an access log is none"}, Error, accessLogs, nil},
	{CodeDoc{"MW2115", "a step of a rollout does not rise, does not last, or waits for what never comes"}, Error, steps, nil},
	{CodeDoc{"MW2116", "a window or the end of a hold is none"}, Error, windows, nil},
	{CodeDoc{"MW2117", "an analysis cannot be made"}, Error, judgements, nil},
	{CodeDoc{"MW2118", "the windows of a rollout are never open (a warning)"}, Warning, nil, shutWindows},
	{CodeDoc{"MW2119", "nobody looks at a canary (a warning)"}, Warning, unjudged, nil},
	{CodeDoc{"MW2120", "a percent is next to nothing, as if a part of 1 were meant (a warning)"}, Warning, fractions, nil},

	{CodeDoc{"MW2201", "a route is for a port or protocol that no listener has"}, Error, routerListeners, gatewayListeners},
	{CodeDoc{"MW2202", "a target's port is not one of its listeners', or is needed and missing"}, Error, nil, targetPorts},
	{CodeDoc{"MW2203", "a route never gets a request, since others take them all (a warning)"}, Warning, shadowedRoutes, shadowedGatewayRoutes},
	{CodeDoc{"MW2204", "a virtual router has no listeners (a warning)"}, Warning, deafRouters, nil},
	{CodeDoc{"MW2205", "a virtual service has no provider (a warning)"}, Warning, idleServices, nil},
	{CodeDoc{"MW2206", "two TCP backends of a node have one port (a warning)"}, Warning, nil, sharedTCPPorts},
	{CodeDoc{"MW2207", "a route may take longer than its target's listener allows (a warning)"}, Warning, nil, longTimeouts},
	{CodeDoc{"MW2208", "a client policy is for a port that no backend has (a warning)"}, Warning, nil, policyPorts},
	{CodeDoc{"MW2209", "an endpoint has a port for a listener that its node has not"}, Error, nil, endpointPorts},
	{CodeDoc{"MW2210", "a policy is for a route that there is not, or that says itself what the policy says"}, Error, nil, policyRoutes},
	{CodeDoc{"MW2211", "a policy is for a listener that there is not or that cannot have it, or asks a service that does not answer"}, Error, nil, policyListeners},
	{CodeDoc{"MW2212", "a health check has no token, and needs one (a warning)"}, Warning, nil, tokenlessChecks},
	{CodeDoc{"MW2213", "a rollout of nothing but TCP asks for what only requests have"}, Error, nil, deafTargets},
	{CodeDoc{"MW2214", "a rollout asks for what some of its routes cannot have (a warning)"}, Warning, nil, deafRoutes},
}

// checkDocument reports what the rules within one document find.
func checkDocument(d *document, report func(Diagnostic)) {
	for i := range checks {
		if c := &checks[i]; c.document != nil {
			c.document(d.res, func(path, what, fix string) { report(c.finding(d, path, what, fix)) })
		}
	}
}

// checkTree adds what the rules across documents find.
func (t *linker) checkTree() {
	for i := range checks {
		if c := &checks[i]; c.tree != nil {
			c.tree(t, func(res Resource, path, what, fix string) {
				t.diags = append(t.diags, c.finding(t.byRef[res.meta().Ref], path, what, fix))
			})
		}
	}
}

func (c *check) finding(d *document, path, what, fix string) Diagnostic {
	_, pos := d.root.at(path)
	return Diagnostic{Code: c.Code, Severity: c.severity, Pos: pos, Resource: d.ref, Path: path, What: what, Fix: fix}
}
