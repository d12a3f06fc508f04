package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
)

// changedNodes are the virtual nodes that differ, as they were.
func (c *change) changedNodes() []*schema.VirtualNode {
	var nodes []*schema.VirtualNode
	for _, d := range c.diff {
		if n := c.from.Spec.VirtualNodes[d.Ref.Key]; d.Ref.Kind == schema.KindVirtualNode && d.Op == schema.Changed {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// ending is the TLS of a listener on both sides; nil is none.
type ending struct {
	at      schema.Resource
	path    string
	what    string
	was, is *schema.ListenerTLS
}

// endings are the listeners that are on both sides.
func (c *change) endings() (all []ending) {
	for _, d := range c.diff {
		if d.Op != schema.Changed {
			continue
		}
		switch was := c.from.Spec.Find(d.Ref).(type) {
		case *schema.VirtualNode:
			is := c.to.Spec.VirtualNodes[d.Ref.Key]
			for i := range is.Spec.Listeners {
				l := &is.Spec.Listeners[i]
				if old := was.ListenerAt(l.PortMapping.Port); old != nil {
					all = append(all, ending{is, fmt.Sprintf("spec.listeners[%d].tls", i), fmt.Sprintf("port %d of %s", l.PortMapping.Port, d.Ref), old.TLS, l.TLS})
				}
			}
		case *schema.VirtualGateway:
			is := c.to.Spec.VirtualGateways[d.Ref.Key]
			for i := range is.Spec.Listeners {
				l := &is.Spec.Listeners[i]
				at := slices.IndexFunc(was.Spec.Listeners, func(o schema.GatewayListener) bool { return o.PortMapping.Port == l.PortMapping.Port })
				if at >= 0 {
					all = append(all, ending{is, fmt.Sprintf("spec.listeners[%d].tls", i), fmt.Sprintf("port %d of %s", l.PortMapping.Port, d.Ref), was.Spec.Listeners[at].TLS, l.TLS})
				}
			}
		}
	}
	return all
}

// mode of a listener's TLS: DISABLED where none is written.
func mode(t *schema.ListenerTLS) string {
	if t == nil || t.Mode == "" {
		return "DISABLED"
	}
	return t.Mode
}

// calling is the TLS of a client on both sides.
type calling struct {
	at      schema.Resource
	path    string
	what    string
	was, is *schema.ClientTLS
}

// callings are the client policies towards backends that are on both sides, and
// the defaults.
func (c *change) callings() (all []calling) {
	tls := func(p *schema.ClientPolicy) *schema.ClientTLS {
		if p == nil {
			return nil
		}
		return p.TLS
	}
	defaults := func(d *schema.BackendDefaults) *schema.ClientTLS {
		if d == nil {
			return nil
		}
		return tls(d.ClientPolicy)
	}
	for _, d := range c.diff {
		if d.Op != schema.Changed {
			continue
		}
		switch was := c.from.Spec.Find(d.Ref).(type) {
		case *schema.VirtualNode:
			is := c.to.Spec.VirtualNodes[d.Ref.Key]
			before := map[schema.Ref]*schema.ClientTLS{}
			for _, b := range c.from.Spec.BackendsOf(was) {
				before[b.Service.Ref] = tls(b.Policy)
			}
			for _, b := range c.to.Spec.BackendsOf(is) {
				if old := before[b.Service.Ref]; old != nil {
					all = append(all, calling{is, "spec.backends", fmt.Sprintf("%s, calling %s,", d.Ref, b.Service.AWSName), old, tls(b.Policy)})
				}
			}
		case *schema.VirtualGateway:
			is := c.to.Spec.VirtualGateways[d.Ref.Key]
			all = append(all, calling{is, "spec.backendDefaults", d.Ref.String(), defaults(was.Spec.BackendDefaults), defaults(is.Spec.BackendDefaults)})
		}
	}
	return all
}

// enforced reports whether a client insists on TLS.
func enforced(t *schema.ClientTLS) bool { return t != nil && (t.Enforce == nil || *t.Enforce) }

func (c *change) tlsOff(_ *Plan, tell teller) {
	for _, e := range c.endings() {
		if mode(e.was) != "DISABLED" && mode(e.is) == "DISABLED" {
			tell(High, e.at, e.path, fmt.Sprintf("%s ends no TLS any more (it was %s): requests can be read and forged on the way", e.what, mode(e.was)))
		}
	}
	for _, e := range c.callings() {
		if enforced(e.was) && !enforced(e.is) {
			tell(High, e.at, e.path, e.what+" no longer insists on TLS: whether there is any is for the server to say")
		}
	}
}

func (c *change) tlsWeakened(_ *Plan, tell teller) {
	for _, e := range c.endings() {
		if mode(e.was) == "STRICT" && mode(e.is) == "PERMISSIVE" {
			tell(High, e.at, e.path+".mode", e.what+" takes plain connections beside TLS (STRICT → PERMISSIVE)")
		}
		if mode(e.was) == "DISABLED" || mode(e.is) == "DISABLED" {
			continue
		}
		if why := weaker(e.was.Validation, e.is.Validation, "clients"); why != "" {
			tell(High, e.at, e.path+".validation", e.what+" "+why)
		}
	}
	for _, e := range c.callings() {
		if !enforced(e.was) || !enforced(e.is) {
			continue
		}
		if why := weaker(&e.was.Validation, &e.is.Validation, "servers"); why != "" {
			tell(High, e.at, e.path, e.what+" "+why)
		}
		if len(e.is.Ports) > 0 && (len(e.was.Ports) == 0 || slices.ContainsFunc(e.was.Ports, func(p uint32) bool { return !slices.Contains(e.is.Ports, p) })) {
			tell(High, e.at, e.path, e.what+" insists on TLS for fewer ports")
		}
	}
}

// weaker says how peers are checked less; empty if they are not. Without written
// names any certificate of a client will do that the authority made; a server's
// must have the name that service discovery knows it by.
func weaker(was, is *schema.Validation, peers string) string {
	switch {
	case was == nil:
		return ""
	case is == nil:
		return "no longer asks " + peers + " for a certificate"
	}
	names := func(v *schema.Validation) (written []string, any bool) {
		if v.SubjectAlternativeNames == nil {
			return nil, peers == "clients"
		}
		written = v.SubjectAlternativeNames.Match.Exact
		return written, slices.Contains(written, "*")
	}
	before, anyBefore := names(was)
	after, anyAfter := names(is)
	more := slices.DeleteFunc(slices.Clone(after), func(n string) bool { return slices.Contains(before, n) })
	switch {
	case anyBefore:
	case anyAfter:
		return "no longer checks the names in the certificates of " + peers
	case len(before) > 0 && len(more) > 0:
		return "takes more names in the certificates of " + peers + ": " + strings.Join(more, ", ")
	}
	return ""
}

// certificateMissing: what proxies begin to lack.
func (c *change) certificateMissing(p *Plan, tell teller) {
	for _, t := range p.Proxies.Identities {
		profile := xds.Profile{Identity: t.Identity}
		had := c.from.State.Lacking(profile)
		for _, name := range c.to.State.Lacking(profile) {
			at := c.standsFor(t.Identity)
			if at == nil || slices.Contains(had, name) {
				continue
			}
			_, name, _ = strings.Cut(name, ":")
			tell(High, at, "spec", fmt.Sprintf("nothing stands in for %s: connections that need it are refused; give it a source in the certificate settings first", name))
		}
	}
}

func (c *change) egressOpen(_ *Plan, tell teller) {
	for _, d := range c.diff {
		was, is := c.from.Spec.Meshes[d.Ref.Key], c.to.Spec.Meshes[d.Ref.Key]
		if d.Ref.Kind == schema.KindMesh && was != nil && is != nil && !was.AllowAll() && is.AllowAll() {
			tell(High, is, "spec.egressFilter.type", "applications of the mesh reach whatever they dial, without its routes and limits; declare backends instead")
		}
	}
}

func (c *change) healthCheckRemoved(_ *Plan, tell teller) {
	for _, was := range c.changedNodes() {
		is := c.to.Spec.VirtualNodes[was.Ref.Key]
		for i := range is.Spec.Listeners {
			l := &is.Spec.Listeners[i]
			if old := was.ListenerAt(l.PortMapping.Port); old != nil && old.HealthCheck != nil && l.HealthCheck == nil {
				tell(Low, is, fmt.Sprintf("spec.listeners[%d]", i), fmt.Sprintf("port %d of %s is no longer checked: callers send to instances that are broken until these fail", l.PortMapping.Port, is.Ref))
			}
		}
	}
}
