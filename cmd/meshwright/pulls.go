package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/meshwright/meshwright/reconciler"
	"github.com/meshwright/meshwright/reconciler/plan"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
	"github.com/meshwright/meshwright/xds/ads"
	"github.com/meshwright/meshwright/xds/translate"
)

// preview is what proxies would get of another spec, with the facts that what
// is served has: nobody is asked for those that a pull request would need.
func preview(served, to reconciler.Side) (was, is *translate.Snapshot) {
	was, _ = served.State.(*translate.Snapshot)
	if was == nil {
		was = translate.New(translate.Inputs{Commit: served.Commit, Spec: served.Spec}, nil)
	}
	if was.Spec() != served.Spec { // with the canaries of pull requests
		was = was.With(served.Commit, served.Spec)
	}
	return was, was.With(to.Commit, to.Spec)
}

// planned is the plan of a pull request.
func planned(served, to reconciler.Side, seen plan.Observed) *plan.Plan {
	was, is := preview(served, to)
	return plan.New(plan.Side{Name: served.Commit, Spec: served.Spec, State: was}, plan.Side{Name: to.Commit, Spec: to.Spec, State: is}, seen)
}

// explained answers `explain FROM TO [METHOD] PATH` in a comment.
func explained(served, to reconciler.Side, args []string) string {
	req := translate.Request{Host: args[1], Path: args[len(args)-1]}
	if len(args) == 4 {
		req.Method = args[2]
	}
	was, is := preview(served, to)
	before, err := explain(was, served.Spec, args[0], req)
	if err != nil {
		before = err.Error()
	}
	after, err := explain(is, to.Spec, args[0], req)
	if err != nil {
		after = err.Error()
	}
	before, after = strings.TrimSpace(before), strings.TrimSpace(after)
	if before == after {
		return "before and after:\n" + after
	}
	return "before:\n" + before + "\n\nafter:\n" + after
}

// explain says where a request goes; from is an identity, or the name of a
// virtual node or gateway that only one has.
func explain(s *translate.Snapshot, spec *schema.Spec, from string, req translate.Request) (string, error) {
	id, err := xds.ParseIdentity(from)
	if err != nil {
		if id, err = namedIdentity(spec, from); err != nil {
			return "", err
		}
	}
	e, err := s.Explain(id, req)
	if err != nil {
		return "", err
	}
	return e.String(), nil
}

// namedIdentity finds the one virtual node or gateway that has a name: its own,
// with or without its namespace, or that in App Mesh.
func namedIdentity(spec *schema.Spec, name string) (xds.Identity, error) {
	var found []xds.Identity
	for ref, r := range specResources(spec) {
		m := schema.MetaOf(r)
		if (ref.Kind == schema.KindVirtualNode || ref.Kind == schema.KindVirtualGateway) && (name == ref.Name || name == ref.Namespace+"/"+ref.Name || name == m.AWSName) {
			found = append(found, xds.Identity{Mesh: m.Mesh, Kind: ref.Kind, Name: m.AWSName})
		}
	}
	switch len(found) {
	case 0:
		return xds.Identity{}, fmt.Errorf("no virtual node or gateway is called %s", name)
	case 1:
		return found[0], nil
	}
	return xds.Identity{}, fmt.Errorf("%d virtual nodes and gateways are called %s; write %s or another of them", len(found), name, found[0])
}

func specResources(spec *schema.Spec) func(func(schema.Ref, schema.Resource) bool) {
	if spec == nil {
		spec = schema.NewSpec()
	}
	return spec.All()
}

// reported is the traffic of virtual nodes as proxies report it.
func reported(proxies *ads.Server) func(xds.State, time.Time, time.Time) (map[schema.Ref]xds.Traffic, int, int) {
	return func(served xds.State, from, to time.Time) (map[schema.Ref]xds.Traffic, int, int) {
		connected, reporting := proxies.Reporting()
		return byNode(served, proxies.Traffic(from, to)), connected, reporting
	}
}

// byNode adds up the traffic of clusters by the virtual nodes that they lead to.
func byNode(served xds.State, clusters map[string]xds.Traffic) map[schema.Ref]xds.Traffic {
	got := map[schema.Ref]xds.Traffic{}
	if s, ok := served.(*translate.Snapshot); ok {
		targets := s.Targets()
		for cluster, t := range clusters {
			if ref, ok := targets[cluster]; ok {
				sum := got[ref]
				sum.Add(t)
				got[ref] = sum
			}
		}
	}
	return got
}

// meter counts the traffic of virtual nodes.
type meter struct{ *ads.Meter }

func (m meter) Traffic(served xds.State) map[schema.Ref]xds.Traffic {
	return byNode(served, m.Meter.Traffic())
}

func metered(proxies *ads.Server) func(time.Time, []xds.Identity) reconciler.Meter {
	return func(since time.Time, callers []xds.Identity) reconciler.Meter {
		return meter{proxies.Meter(since, callers)}
	}
}
