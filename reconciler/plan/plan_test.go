package plan_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/meshwright/meshwright/fixtures"
	"github.com/meshwright/meshwright/fixtures/scale"
	"github.com/meshwright/meshwright/reconciler/plan"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
)

// TestPlans holds the plan of each case, as text and as JSON.
func TestPlans(t *testing.T) {
	for _, c := range fixtures.Archives(t, "plans/*.txtar") {
		t.Run(c.Name, func(t *testing.T) {
			before, after := c.Sides(t)
			l := schema.NewLoader(schema.Config{})
			from, to := load(t, l, before), load(t, l, after)
			p := plan.New(plan.Side{Name: "before", Spec: from}, plan.Side{Name: "after", Spec: to}, observed(t, c))
			c.Golden(t, "want/plan.txt", p.String())
			data, err := json.MarshalIndent(p, "", " ")
			if err != nil {
				t.Fatal(err)
			}
			c.Golden(t, "want/plan.json", string(data))
			holds(t, from, to, p)
		})
	}
}

// load loads a side; nil files are no side.
func load(t testing.TB, l *schema.Loader, files fs.FS) *schema.Spec {
	t.Helper()
	if files == nil {
		return nil
	}
	r, err := l.Load(context.Background(), files)
	if err != nil {
		t.Fatal(err)
	}
	if r.Spec == nil {
		t.Fatalf("it does not load:\n%s", r.Diagnostics)
	}
	return r.Spec
}

// observed reads a case's observed.txt.
func observed(t testing.TB, c *fixtures.Case) plan.Observed {
	t.Helper()
	var seen plan.Observed
	data, err := fs.ReadFile(c.Files, "observed.txt")
	if err != nil {
		return seen
	}
	number := func(s string) int {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatalf("observed.txt: %v", err)
		}
		return n
	}
	for line := range strings.Lines(string(data)) {
		words := strings.Fields(line)
		switch {
		case len(words) == 0:
		case words[0] == "proxies" && len(words) >= 3:
			id, err := xds.ParseIdentity(words[1])
			if err != nil {
				t.Fatal(err)
			}
			mode := strings.Join(words[3:], "")
			for i := range number(words[2]) {
				seen.Proxies = append(seen.Proxies, xds.Proxy{ID: fmt.Sprintf("%s-%d", id.Name, i), Identity: id, Explicit: mode == "explicit", Proxyless: mode == "grpc"})
			}
		case words[0] == "now":
			var err error
			if seen.Now, err = time.Parse(time.RFC3339, words[1]); err != nil {
				t.Fatal(err)
			}
		case words[0] == "rollout": // as the daemon's API has it
			var s plan.Standing
			if err := json.Unmarshal([]byte(strings.TrimPrefix(line, "rollout ")), &s); err != nil {
				t.Fatal(err)
			}
			seen.Rollouts = append(seen.Rollouts, s)
		case words[0] == "traffic" && len(words) >= 2:
			if seen.Traffic == nil {
				seen.Traffic = map[schema.Ref]xds.Traffic{}
			}
			parts := strings.Split(words[1], "/")
			ref := schema.Ref{Kind: schema.Kind(parts[0]), Key: schema.Key{Namespace: parts[1], Name: parts[2]}}
			traffic := xds.Traffic{Window: 5 * time.Minute}
			for _, w := range words[2:] {
				name, value, _ := strings.Cut(w, "=")
				switch name {
				case "requests":
					traffic.Requests = uint64(number(value))
				case "errors":
					traffic.Errors = uint64(number(value))
				case "p99": // all of them take about as long
					d, err := time.ParseDuration(value)
					if err != nil {
						t.Fatal(err)
					}
					traffic.Latency.Counts = make([]uint64, len(xds.LatencyBounds)+1)
					for i, bound := range xds.LatencyBounds {
						if float64(d.Milliseconds()) <= bound {
							traffic.Latency.Counts[i] = traffic.Requests
							break
						}
					}
				default:
					t.Fatalf("observed.txt: %s", w)
				}
			}
			seen.Traffic[ref] = traffic
		default:
			t.Fatalf("observed.txt: %s", line)
		}
	}
	return seen
}

// holds checks what is true of every plan.
func holds(t testing.TB, from, to *schema.Spec, p *plan.Plan) {
	t.Helper()
	touches := p.Touches()
	for _, c := range schema.Diff(from, to) {
		if !touches[c.Ref] {
			t.Errorf("%s is %s, and the plan does not touch it", c.Ref, c.Op)
		}
	}
	for _, s := range []*schema.Spec{from, to} {
		if s == nil {
			continue
		}
		same := plan.New(plan.Side{Spec: s}, plan.Side{Spec: s}, plan.Observed{})
		if !same.Empty() || len(same.Routes)+len(same.Moves)+len(same.Risks)+len(same.Drains)+len(same.Proxies.Identities) > 0 {
			t.Errorf("from a spec to itself:\n%s", same)
		}
	}
	data, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var again plan.Plan
	if err := json.Unmarshal(data, &again); err != nil {
		t.Fatal(err)
	}
	if len(again.Touches()) != len(touches) || again.String() != p.String() {
		t.Errorf("a stored plan is another one:\n%s", again.String())
	}
	for _, e := range p.Graph.Edges {
		for _, ref := range []schema.Ref{e.From, e.To} {
			found := false
			for _, n := range p.Graph.Nodes {
				found = found || n.Ref == ref
			}
			if !found {
				t.Errorf("the graph has an edge to %s, and not that", ref)
			}
		}
	}
}

// TestStale: a plan is stale when something moves that it goes by, were it a
// policy that is new; and not when that is nothing of its own.
func TestStale(t *testing.T) {
	l := schema.NewLoader(schema.Config{})
	sides := func(name string) (before, after *schema.Spec) {
		for _, c := range fixtures.Archives(t, "plans/"+name+".txtar") {
			b, a := c.Sides(t)
			before, after = load(t, l, b), load(t, l, a)
		}
		return before, after
	}
	from, to := sides("weights_canary")
	p := plan.New(plan.Side{Spec: from}, plan.Side{Spec: to}, plan.Observed{})
	for name, stale := range map[string]bool{"route_mirror": true, "node_health_check": true, "service_new": true, "none": false} {
		if got := p.Stale(sides(name)); got != stale {
			t.Errorf("%s makes the plan stale: %v, want %v", name, got, stale)
		}
	}

	mesh := scale.Mesh{Services: 30}
	from = load(t, l, mesh.FS())
	changed := func(service int) *schema.Spec {
		mesh.Weights = map[int]int{service: 10}
		return load(t, l, mesh.FS())
	}
	p = plan.New(plan.Side{Spec: from}, plan.Side{Spec: changed(3)}, plan.Observed{})
	if p.Stale(from, changed(20)) {
		t.Error("a service makes the plan of another stale that it has nothing to do with")
	}
}
