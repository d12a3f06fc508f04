package translate

import (
	"maps"
	"sync"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
)

// Inputs are all that decides what proxies are served.
type Inputs struct {
	Commit string       // the spec's; passed through to [Snapshot.Commit]
	Spec   *schema.Spec // nil: no resources
	// Endpoints are the instances that registries have, by what they were asked
	// for; a query without an answer has no instances that are known yet.
	Endpoints map[schema.Query]*schema.Found
	// Certificates are what this control plane has itself for the names that
	// the spec gives certificates; nil: nothing.
	Certificates *xds.Certificates
	Tracing      Tracing
}

// Snapshot is the desired state at one commit. It is immutable, and safe for
// concurrent use; it implements [xds.State].
type Snapshot struct {
	in *maker

	mu    sync.Mutex
	built map[xds.Profile]*entry
}

// entry is a profile's proxy in one snapshot. A proxy that nobody asks for in
// a whole snapshot is not handed on to the next, or proxies long gone would
// stay in memory for ever.
type entry struct {
	*proxy
	asked bool // guarded by the snapshot's mu
}

// proxy is what one profile's proxies should have, built when first asked for.
// Snapshots share it as long as nothing that it depends on changes.
type proxy struct {
	build func() product
	once  sync.Once
	product
}

// product is what a build comes to.
type product struct {
	res         *xds.Resources
	notices     []string
	targets     map[string]schema.Ref // egress cluster that is not a node's plain one → virtual node
	assignments []assignment          // what of it comes from registries
	needs       []need                // what of it comes from the certificates
	self        *part                 // what of it has nothing to do with backends; nil: nothing that can be told
	reach       *reach                // what it has of others with the same backends; nil: nothing
	err         error
}

// made is the product, built now if it has not been.
func (p *proxy) made() product {
	p.once.Do(func() {
		p.product = p.build()
		p.build = nil // lets go of the inputs
	})
	return p.product
}

// New makes the snapshot of the inputs. What prev (which may be nil) has built
// for profiles that depend on nothing that changed is taken over as it is, and
// so is every resource whose content stays the same.
func New(in Inputs, prev *Snapshot) *Snapshot {
	if in.Spec == nil {
		in.Spec = schema.NewSpec()
	}
	s := &Snapshot{in: &maker{Inputs: in, known: newCallees()}, built: map[xds.Profile]*entry{}}
	if prev == nil {
		s.in.shared = newMemo()
		return s
	}
	s.in.shared = prev.in.shared
	if in.Tracing != prev.in.Tracing {
		return s // it is in every proxy's listeners
	}
	d := compare(prev.in.Spec, in.Spec)
	stale, kept := d.identities(), d.keepsBackends()
	moved := in.Certificates != prev.in.Certificates || !maps.Equal(in.Endpoints, prev.in.Endpoints)
	prev.mu.Lock()
	defer prev.mu.Unlock()
	s.built = make(map[xds.Profile]*entry, len(prev.built))
	for profile, e := range prev.built {
		switch {
		case !e.asked:
		case stale[profile.Identity]:
			if !moved && !d.renews(profile.Identity) {
				s.built[profile] = &entry{proxy: s.again(profile, e.proxy, kept)}
			}
		case moved:
			s.built[profile] = &entry{proxy: s.moved(profile, e.proxy, prev.in.Inputs)}
		default:
			s.built[profile] = &entry{proxy: e.proxy}
		}
	}
	return s
}

// With returns what another spec would make of it, with the same facts beside
// the spec: nobody is asked for those that only the other needs.
func (s *Snapshot) With(commit string, spec *schema.Spec) *Snapshot {
	in := s.in.Inputs
	in.Commit, in.Spec = commit, spec
	return New(in, s)
}

// moved is a proxy of the snapshot before, for which nothing of the spec has
// changed since, with what has moved beside it.
func (s *Snapshot) moved(profile xds.Profile, old *proxy, had Inputs) *proxy {
	m := s.in
	return &proxy{build: func() product {
		p, ok := old.made().renewed(had.Certificates, m.Certificates, m.shared)
		if !ok {
			return m.build(profile, nil)
		}
		p = p.reassigned(had.Endpoints, m.Endpoints, m.shared)
		if p.self != nil && len(p.self.needs)+len(p.self.assignments) > 0 {
			p.self = nil // it is not what it was
		}
		return p
	}}
}

// again is a proxy of the snapshot before whose backends have changed since, and
// nothing else; kept: not even which there are.
func (s *Snapshot) again(profile xds.Profile, old *proxy, kept bool) *proxy {
	m := s.in
	return &proxy{build: func() product {
		was := old.made()
		if kept {
			if p, ok := m.follow(profile, was); ok {
				return p
			}
		}
		return m.build(profile, was.self)
	}}
}

// Spec is the spec of the inputs.
func (s *Snapshot) Spec() *schema.Spec { return s.in.Spec }

// Commit is the commit of the inputs.
func (s *Snapshot) Commit() string { return s.in.Commit }

// Resources returns what proxies of a profile should have; an identity that
// the spec does not have is an [xds.UnknownIdentity].
func (s *Snapshot) Resources(p xds.Profile) (*xds.Resources, error) {
	made := s.proxy(p)
	return made.res, made.err
}

// Notices returns what a person should know about the configuration of a
// profile's proxies, a sentence each, sorted.
func (s *Snapshot) Notices(p xds.Profile) []string { return s.proxy(p).notes(s.in.Endpoints) }

func (s *Snapshot) proxy(profile xds.Profile) product {
	s.mu.Lock()
	e := s.built[profile]
	if e == nil {
		m := s.in
		e = &entry{proxy: &proxy{build: func() product { return m.build(profile, nil) }}}
		s.built[profile] = e
	}
	e.asked = true
	s.mu.Unlock()
	return e.made()
}
