package translate

import (
	"cmp"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/meshwright/meshwright/schema"
)

// guards are what a listener holds every request to before it goes on; nil is
// nothing.
type guards struct {
	limit, jwt, authz proto.Message
	exempt            bool // some paths need no token
}

// guards makes those of a listener of a virtual node or gateway, with the
// clusters of the services that they ask.
func (b *builder) guards(owner schema.Resource, p schema.PortMapping) (g guards) {
	rules := b.spec.ListenerRulesOf(owner, p.Port)
	if rules.RateLimit != nil {
		g.limit = rateLimit(rules.RateLimit)
	}
	if rules.JWT != nil {
		g.jwt, g.exempt = b.jwt(owner, rules.JWT), len(rules.JWT.Except) > 0
	}
	if rules.ExternalAuthorization != nil {
		g.authz = b.authz(owner, rules.ExternalAuthorization)
	}
	return g
}

// asked is where a proxy's own questions to a virtual service go.
type asked struct {
	host     string
	cluster  string
	protocol schema.Protocol
}

// ask adds the cluster for a proxy's own questions to a virtual service. They
// are not routed: they go to the node with the most weight of the service's
// last route, which is the most general.
func (b *builder) ask(owner schema.Resource, service schema.Reference, port uint32) asked {
	v := b.spec.VirtualServices[service.In("")]
	if v == nil {
		return asked{}
	}
	link := b.linkTo(owner, v)
	a := chooseAnswer(b.answers(link), port, port != 0)
	if a == nil || len(a.routes) == 0 || len(a.routes[len(a.routes)-1].targets) == 0 {
		b.notice("Virtual service %s, which this proxy asks about requests, does not answer.", v.AWSName)
		return asked{host: v.AWSName}
	}
	to := slices.MaxFunc(a.routes[len(a.routes)-1].targets, func(x, y target) int { return cmp.Compare(x.weight, y.weight) })
	return asked{v.AWSName, b.cluster(link, to), to.listener.PortMapping.Protocol}
}

// linkTo is how a proxy speaks to a virtual service, backend or not.
func (b *builder) linkTo(owner schema.Resource, v *schema.VirtualService) schema.BackendLink {
	var defaults *schema.BackendDefaults
	switch owner := owner.(type) {
	case *schema.VirtualNode:
		for _, link := range b.spec.BackendsOf(owner) {
			if link.Service == v {
				return link
			}
		}
		defaults = owner.Spec.BackendDefaults
	case *schema.VirtualGateway:
		defaults = owner.Spec.BackendDefaults
	}
	link := schema.BackendLink{Service: v}
	if defaults != nil {
		link.Policy = defaults.ClientPolicy
	}
	return link
}
