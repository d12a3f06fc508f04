package schema

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// listenersOf returns the ports that a node, router or gateway listens on.
func listenersOf(res Resource) []PortMapping {
	var ports []PortMapping
	switch r := res.(type) {
	case *VirtualNode:
		for i := range r.Spec.Listeners {
			ports = append(ports, r.Spec.Listeners[i].PortMapping)
		}
	case *VirtualRouter:
		for i := range r.Spec.Listeners {
			ports = append(ports, r.Spec.Listeners[i].PortMapping)
		}
	case *VirtualGateway:
		for i := range r.Spec.Listeners {
			ports = append(ports, r.Spec.Listeners[i].PortMapping)
		}
	}
	return ports
}

// spellPorts spells the ports of listeners for people.
func spellPorts(ports []PortMapping) string {
	if len(ports) == 0 {
		return "none"
	}
	words := make([]string, len(ports))
	for i, p := range ports {
		words[i] = fmt.Sprintf("%d %s", p.Port, p.Protocol)
	}
	return strings.Join(words, ", ")
}

// sharedPorts: a port tells the listeners of a resource apart.
func sharedPorts(res Resource, report func(path, what, fix string)) {
	seen := map[uint32]int{}
	for i, p := range listenersOf(res) {
		if first, ok := seen[p.Port]; !ok {
			seen[p.Port] = i
		} else {
			report(fmt.Sprintf("spec.listeners[%d].portMapping.port", i), fmt.Sprintf("spec.listeners[%d] has port %d already", first, p.Port), "keep one")
		}
	}
}

// sharedRouteNames: App Mesh's webhook refused them.
func sharedRouteNames(res Resource, report func(path, what, fix string)) {
	r, ok := res.(*VirtualRouter)
	if !ok {
		return
	}
	seen := map[string]int{}
	for i := range r.Spec.Routes {
		name := r.Spec.Routes[i].Name
		if first, ok := seen[name]; !ok {
			seen[name] = i
		} else {
			report(fmt.Sprintf("spec.routes[%d].name", i), fmt.Sprintf("spec.routes[%d] is called %s already", first, quote(name)), "rename one")
		}
	}
}

// sharedBackends: App Mesh's webhook refused them, for which client policy
// would hold?
func sharedBackends(res Resource, report func(path, what, fix string)) {
	n, ok := res.(*VirtualNode)
	if !ok {
		return
	}
	seen := map[reference]int{}
	for i, b := range n.Spec.Backends {
		id, path := reference{arn: b.VirtualService.VirtualServiceARN}, "virtualServiceARN"
		if ref := b.VirtualService.VirtualServiceRef; ref != nil {
			id, path = reference{to: Ref{KindVirtualService, ref.In(n.Ref.Namespace)}}, "virtualServiceRef"
		}
		if first, ok := seen[id]; !ok {
			seen[id] = i
		} else {
			report(fmt.Sprintf("spec.backends[%d].virtualService.%s", i, path), fmt.Sprintf("spec.backends[%d] names it already", first), "keep one")
		}
	}
}

// zeroWeights: nobody would get the requests.
func zeroWeights(res Resource, report func(path, what, fix string)) {
	r, ok := res.(*VirtualRouter)
	if !ok {
		return
	}
	for i := range r.Spec.Routes {
		if !slices.ContainsFunc(r.Spec.Routes[i].Targets(), func(t WeightedTarget) bool { return t.Weight > 0 }) {
			report(routePath(r, i)+".action.weightedTargets", "the weights sum to 0, so that no target gets a request", "give one of them a weight")
		}
	}
}

// rewrites are held to what App Mesh's webhook held them to.
func rewrites(res Resource, report func(path, what, fix string)) {
	g, ok := res.(*GatewayRoute)
	if !ok {
		return
	}
	route := g.HTTP()
	if route == nil || route.Action.Rewrite == nil {
		return
	}
	path, match, rewrite := "spec."+g.Field(), route.Match, route.Action.Rewrite
	switch {
	case rewrite.Prefix != nil && match.Prefix == "":
		report(path+".action.rewrite.prefix", "it rewrites a prefix, and the match has none", "match a prefix, or rewrite the path")
	case rewrite.Path != nil && match.Prefix != "":
		report(path+".action.rewrite.path", "it rewrites the whole path, and the match is of a prefix", "match a path, or rewrite the prefix")
	case rewrite.Prefix != nil && rewrite.Prefix.Value != "" && !strings.HasSuffix(match.Prefix, "/"):
		report(path+".match.prefix", quote(match.Prefix)+" is rewritten, and does not end with /", "write "+match.Prefix+"/")
	}
}

// regexes are RE2, as Envoy's are; it would refuse the whole route table.
func regexes(res Resource, report func(path, what, fix string)) {
	try := func(regex, path string) {
		// \C is RE2's and not Go's.
		if _, err := regexp.Compile(regex); err != nil && !strings.Contains(regex, `\C`) {
			report(path, strings.TrimPrefix(err.Error(), "error parsing regexp: "), "write a regular expression of RE2 (no look-around, no back-references)")
		}
	}
	headers := func(headers []HeaderMatch, path string) {
		for i, h := range headers {
			if h.Match != nil {
				try(h.Match.Regex, fmt.Sprintf("%s[%d].match.regex", path, i))
			}
		}
	}
	http := func(m HTTPMatch, path string) {
		if m.Path != nil {
			try(m.Path.Regex, path+".path.regex")
		}
		headers(m.Headers, path+".headers")
	}
	switch r := res.(type) {
	case *VirtualRouter:
		for i := range r.Spec.Routes {
			switch route, path := &r.Spec.Routes[i], routePath(r, i)+".match"; {
			case route.HTTP() != nil:
				http(route.HTTP().Match, path)
			case route.GRPCRoute != nil:
				headers(route.GRPCRoute.Match.Metadata, path+".metadata")
			}
		}
	case *GatewayRoute:
		switch path := "spec." + r.Field() + ".match"; {
		case r.HTTP() != nil:
			http(r.HTTP().Match, path)
		case r.Spec.GRPCRoute != nil:
			headers(r.Spec.GRPCRoute.Match.Metadata, path+".metadata")
		}
	case *Rollout:
		for i := range r.Spec.Steps {
			if h := r.Spec.Steps[i].Header; h != nil && h.Match != nil {
				try(h.Match.Regex, fmt.Sprintf("spec.steps[%d].header.match.regex", i))
			}
		}
	case *RoutePolicy:
		if f := r.Spec.Fault; f != nil {
			headers(f.Headers, "spec.fault.headers")
		}
		if c := r.Spec.CORS; c != nil {
			for i, o := range c.AllowOrigins {
				try(o.Regex, fmt.Sprintf("spec.cors.allowOrigins[%d].regex", i))
			}
		}
	}
}

// selectors are held to what Kubernetes holds them to.
func selectors(res Resource, report func(path, what, fix string)) {
	try := func(s *Selector, path string) {
		if s == nil {
			return
		}
		for i, r := range s.MatchExpressions {
			path := fmt.Sprintf("%s.matchExpressions[%d].values", path, i)
			switch compares := r.Operator == "In" || r.Operator == "NotIn"; {
			case compares && len(r.Values) == 0:
				report(path, r.Operator+" compares with values, and there are none", "write some")
			case !compares && len(r.Values) > 0:
				report(path, r.Operator+" takes no values", "remove them, or write In or NotIn")
			}
		}
	}
	switch r := res.(type) {
	case *Mesh:
		try(r.Spec.NamespaceSelector, "spec.namespaceSelector")
	case *VirtualNode:
		try(r.Spec.PodSelector, "spec.podSelector")
	case *VirtualGateway:
		try(r.Spec.PodSelector, "spec.podSelector")
		try(r.Spec.NamespaceSelector, "spec.namespaceSelector")
		try(r.Spec.GatewayRouteSelector, "spec.gatewayRouteSelector")
	}
}

// foreignProtocols: what is not under the listener's own protocol does nothing.
func foreignProtocols(res Resource, report func(path, what, fix string)) {
	try := func(i int, field string, own Protocol, set map[Protocol]bool) {
		for _, p := range []Protocol{ProtocolHTTP, ProtocolHTTP2, ProtocolGRPC, ProtocolTCP} {
			if set[p] && p != own {
				report(fmt.Sprintf("spec.listeners[%d].%s.%s", i, field, p), fmt.Sprintf("it does nothing, since the listener's protocol is %s", own), fmt.Sprintf("write it under %s", own))
			}
		}
	}
	pool := func(i int, own Protocol, p *ConnectionPool) {
		if p != nil {
			try(i, "connectionPool", own, map[Protocol]bool{ProtocolHTTP: p.HTTP != nil, ProtocolHTTP2: p.HTTP2 != nil, ProtocolGRPC: p.GRPC != nil, ProtocolTCP: p.TCP != nil})
		}
	}
	switch r := res.(type) {
	case *VirtualNode:
		for i, l := range r.Spec.Listeners {
			own := l.PortMapping.Protocol
			pool(i, own, l.ConnectionPool)
			if t := l.Timeout; t != nil {
				try(i, "timeout", own, map[Protocol]bool{ProtocolHTTP: t.HTTP != nil, ProtocolHTTP2: t.HTTP2 != nil, ProtocolGRPC: t.GRPC != nil, ProtocolTCP: t.TCP != nil})
			}
		}
	case *VirtualGateway:
		for i, l := range r.Spec.Listeners {
			pool(i, l.PortMapping.Protocol, l.ConnectionPool)
		}
	}
}

// deafRouters answer on no port.
func deafRouters(res Resource, report func(path, what, fix string)) {
	if r, ok := res.(*VirtualRouter); ok && len(r.Spec.Listeners) == 0 {
		report("spec.listeners", "there are none, so that its virtual services answer on no port", "add a listener")
	}
}

// idleServices are known names with nobody behind.
func idleServices(res Resource, report func(path, what, fix string)) {
	if v, ok := res.(*VirtualService); ok && v.Spec.Provider == nil {
		report("spec.provider", "there is none, so that nobody answers", "name a virtual node or a virtual router")
	}
}
