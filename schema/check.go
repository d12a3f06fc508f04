package schema

import (
	"maps"
	"slices"
)

// check is a rule that no shape can say.
type check struct {
	CodeDoc
	severity Severity
	held
}

// held is how resources are held to a rule; several ways are several parts of it.
type held struct {
	// document holds a resource to it within its own document. It runs when a
	// file is read.
	document func(res Resource, report func(path, what, fix string))
	// spec holds a resource to it among those that it has to do with: what it
	// refers to, however far, or what it says something of. It looks at no others,
	// for it runs when one of those has changed ([Spec.concerned]).
	spec func(t *linker, res Resource, report func(path, what, fix string))
	// tree holds all resources to it together. It runs when one has changed in
	// what the rule goes by: a comparable value, nil for nothing.
	tree func(t *linker, report func(res Resource, path, what, fix string))
	by   func(res Resource) any
}

// checks are all such rules. Their codes are written here only: a code says
// what rule it is, docs/diagnostics.md what to do.
var checks = []check{
	{CodeDoc{"MW2010", "two resources of a mesh have one App Mesh name"}, Error, held{tree: sharedNames, by: itsName}},
	{CodeDoc{"MW2011", "two virtual nodes or gateways select the same pods"}, Error, held{tree: sharedPods, by: itsPods}},
	{CodeDoc{"MW2012", "two Endpoints are for one virtual node"}, Error, held{tree: sharedHosts, by: only[*Endpoints]}},
	{CodeDoc{"MW2013", "two policies say one thing of one target"}, Error, held{tree: sharedRules, by: onlyPolicies}},
	{CodeDoc{"MW2014", "two rollouts govern one target"}, Error, held{tree: sharedTargets, by: only[*Rollout]}},

	{CodeDoc{"MW2101", "two listeners have one port"}, Error, held{document: sharedPorts}},
	{CodeDoc{"MW2102", "two routes of a router have one name"}, Error, held{document: sharedRouteNames}},
	{CodeDoc{"MW2103", "a backend is named twice"}, Error, held{document: sharedBackends}},
	{CodeDoc{"MW2104", "the weights of a route sum to 0"}, Error, held{document: zeroWeights}},
	{CodeDoc{"MW2105", "a rewrite does not go with its match"}, Error, held{document: rewrites}},
	{CodeDoc{"MW2106", "a regular expression is none"}, Error, held{document: regexes}},
	{CodeDoc{"MW2107", "a label selector is none"}, Error, held{document: selectors}},
	{CodeDoc{"MW2108", "a timeout or limit is of another protocol than its listener (a warning)"}, Warning, held{document: foreignProtocols}},
	{CodeDoc{"MW2109", "the address of an endpoint is none"}, Error, held{document: endpointAddresses}},
	{CodeDoc{"MW2110", "an endpoint is written twice"}, Error, held{document: sharedEndpoints}},
	{CodeDoc{"MW2111", "a policy changes a header that must be kept"}, Error, held{document: keptHeaders}},
	{CodeDoc{"MW2112", "a key set is none, or an issuer is written twice"}, Error, held{document: keySets}},
	{CodeDoc{"MW2113", "load balancing hashes nothing, or does not hash"}, Error, held{document: hashes}},
	{CodeDoc{"MW2114", "the format of an access log is none"}, Error, held{document: accessLogs}},
	{CodeDoc{"MW2115", "a step of a rollout does not rise, does not last, or waits for what never comes"}, Error, held{document: steps}},
	{CodeDoc{"MW2116", "a window or the end of a hold is none"}, Error, held{document: windows}},
	{CodeDoc{"MW2117", "an analysis cannot be made"}, Error, held{document: judgements}},
	{CodeDoc{"MW2118", "the windows of a rollout are never open (a warning)"}, Warning, held{tree: shutWindows, by: only[*Rollout]}},
	{CodeDoc{"MW2119", "nobody looks at a canary (a warning)"}, Warning, held{document: unjudged}},
	{CodeDoc{"MW2120", "a percent is next to nothing, as if a part of 1 were meant (a warning)"}, Warning, held{document: fractions}},

	{CodeDoc{"MW2201", "a route is for a port or protocol that no listener has"}, Error, held{document: routerListeners, spec: gatewayListeners}},
	{CodeDoc{"MW2202", "a target's port is not one of its listeners', or is needed and missing"}, Error, held{spec: targetPorts}},
	{CodeDoc{"MW2203", "a route never gets a request, since others take them all (a warning)"}, Warning, held{document: shadowedRoutes, tree: shadowedGatewayRoutes, by: only[*GatewayRoute]}},
	{CodeDoc{"MW2204", "a virtual router has no listeners (a warning)"}, Warning, held{document: deafRouters}},
	{CodeDoc{"MW2205", "a virtual service has no provider (a warning)"}, Warning, held{document: idleServices}},
	{CodeDoc{"MW2206", "two TCP backends of a node have one port (a warning)"}, Warning, held{spec: sharedTCPPorts}},
	{CodeDoc{"MW2207", "a route may take longer than its target's listener allows (a warning)"}, Warning, held{spec: longTimeouts}},
	{CodeDoc{"MW2208", "a client policy is for a port that no backend has (a warning)"}, Warning, held{spec: policyPorts}},
	{CodeDoc{"MW2209", "an endpoint has a port for a listener that its node has not"}, Error, held{spec: endpointPorts}},
	{CodeDoc{"MW2210", "a policy is for a route that there is not, or that says itself what the policy says"}, Error, held{spec: policyRoutes}},
	{CodeDoc{"MW2211", "a policy is for a listener that there is not or that cannot have it, or asks a service that does not answer"}, Error, held{spec: policyListeners}},
	{CodeDoc{"MW2212", "a health check has no token, and needs one (a warning)"}, Warning, held{spec: tokenlessChecks}},
	{CodeDoc{"MW2213", "a rollout of nothing but TCP asks for what only requests have"}, Error, held{spec: deafTargets}},
	{CodeDoc{"MW2214", "a rollout asks for what some of its routes cannot have (a warning)"}, Warning, held{spec: deafRoutes}},
}

// checkDocument reports what the rules within one document find.
func checkDocument(d *document, report func(Diagnostic)) {
	for i := range checks {
		if c := &checks[i]; c.document != nil {
			c.document(d.res, func(path, what, fix string) { report(c.finding(d, path, what, fix)) })
		}
	}
}

// concerned are the resources that rules may find something else of, once those
// of the refs have changed in a spec: what depends on them, what says something
// of that, and the routes of gateways, which depend on nothing of theirs else.
func (s *Spec) concerned(refs []Ref) map[Ref]bool {
	all := s.Dependents(refs)
	for ref := range maps.Clone(all) {
		for _, p := range s.policies[ref] {
			all[p.meta().Ref] = true
		}
		if ref.Kind == KindVirtualGateway {
			for _, route := range s.routes[ref.Key] {
				all[route.Ref] = true
			}
		}
	}
	return all
}

// findings are those of rules across documents.
type findings struct {
	of       map[Ref][]Diagnostic // by the resource that is held to a rule
	together [][]Diagnostic       // by the place of the rule in checks
}

// check holds the spec to the rules across documents. Of what was found before,
// that stays about which nothing has changed since.
func (t *linker) check(changed []replacement) findings {
	var differ []Ref
	again := map[Ref]bool{}
	for _, c := range changed {
		if again[c.ref] = true; c.was == nil || c.is == nil || c.was.meta().Digest != c.is.meta().Digest {
			differ = append(differ, c.ref) // others only stand elsewhere
		}
	}
	maps.Copy(again, t.was.spec.concerned(differ))
	maps.Copy(again, t.spec.concerned(differ))

	found := findings{map[Ref][]Diagnostic{}, make([][]Diagnostic, len(checks))}
	maps.Copy(found.of, t.was.found.of)
	for ref := range again {
		delete(found.of, ref)
		res := t.spec.Find(ref)
		if res == nil {
			continue
		}
		for i := range checks {
			if c := &checks[i]; c.spec != nil {
				c.spec(t, res, func(path, what, fix string) {
					found.of[ref] = append(found.of[ref], c.finding(res.meta().doc, path, what, fix))
				})
			}
		}
	}
	for i := range checks {
		c := &checks[i]
		switch {
		case c.tree == nil:
		case slices.ContainsFunc(changed, func(r replacement) bool { return r.differs(c.by) }):
			c.tree(t, func(res Resource, path, what, fix string) {
				found.together[i] = append(found.together[i], c.finding(res.meta().doc, path, what, fix))
			})
		case t.was.found.together != nil:
			found.together[i] = t.was.found.together[i]
		}
	}
	return found
}

// differs reports whether the resources differ in what a rule goes by.
func (r replacement) differs(by func(Resource) any) bool {
	of := func(res Resource) any {
		if res == nil {
			return nil
		}
		return by(res)
	}
	return of(r.was) != of(r.is)
}

// only goes by all that resources of one kind are.
func only[R Resource](res Resource) any {
	if r, ok := res.(R); ok {
		return r
	}
	return nil
}

func (c *check) finding(d *document, path, what, fix string) Diagnostic {
	_, pos := d.root().at(path)
	return Diagnostic{Code: c.Code, Severity: c.severity, Pos: pos, Resource: d.ref, Path: path, What: what, Fix: fix}
}
