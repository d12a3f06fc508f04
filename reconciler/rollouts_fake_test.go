package reconciler_test

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/meshwright/meshwright/reconciler"
	"github.com/meshwright/meshwright/reconciler/plan"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/sources"
	"github.com/meshwright/meshwright/xds"
)

// rolloutWorld is a world of a mesh with two services, api and web, which one
// Rollout each governs, and a caller. A commit is a line: "good api=v1 web=v2
// x=3", where x is what no Rollout governs; a version may be a mix, v1:80,v2:20.
// "bad" is refused, and a version v4 by the proxies. Words after that:
// "nogov" has no Rollouts, "both" has that of api govern web too, "one" has only that of
// api; "pr" starts them while the pull request is open, "back"
// is another caller of api.
type rolloutWorld struct {
	*world
	t        *testing.T
	steps    string                        // of both Rollouts
	query    func(string) (float64, error) // of Prometheus; nil: there is none
	log      io.Writer                     // of the daemons; nil: none
	hostless bool                          // there is no git host to write to
	plan     bool                          // pull requests get one

	mu     sync.Mutex      // guards:
	rotten map[string]bool // nodes, as api-v2, that answer a third of the requests with errors
	idle   bool            // nobody calls
	mute   bool            // proxies do not tell
	back   bool            // there is a proxy of back, which does not
	texts  []string        // that were published
}

func newRolloutWorld(t *testing.T) *rolloutWorld {
	return &rolloutWorld{world: newWorld(), t: t, rotten: map[string]bool{}, steps: rolloutSteps}
}

const rolloutSteps = `steps: [{weight: 10, hold: 1m}, {weight: 50, hold: 2m}], analysis: {minRequests: 10, successRate: {min: 99}}`

var (
	meshMu sync.Mutex
	meshes = map[string]*schema.Spec{} // by line, for speed
)

// meshOf is the spec of a line.
func meshOf(line, steps string) (*schema.Spec, error) {
	meshMu.Lock()
	defer meshMu.Unlock()
	if s := meshes[line+steps]; s != nil {
		return s, nil
	}
	words := strings.Fields(line)
	value := map[string]string{}
	for _, w := range words {
		k, v, _ := strings.Cut(w, "=")
		value[k] = v
	}
	var b strings.Builder
	b.WriteString("{apiVersion: appmesh.k8s.aws/v1beta2, kind: Mesh, metadata: {name: shop}, spec: {namespaceSelector: {}}}\n")
	node := func(name, host, backends string) {
		fmt.Fprintf(&b, "---\n{apiVersion: appmesh.k8s.aws/v1beta2, kind: VirtualNode, metadata: {name: %s, namespace: shop}, spec: {listeners: [{portMapping: {port: 80, protocol: http}}], serviceDiscovery: {dns: {hostname: %s}}%s}}\n", name, host, backends)
	}
	node("front", "front", ", backends: [{virtualService: {virtualServiceRef: {name: api}}}, {virtualService: {virtualServiceRef: {name: web}}}]")
	if slices.Contains(words, "back") {
		node("back", "back", ", backends: [{virtualService: {virtualServiceRef: {name: api}}}]")
	}
	node("other", "x"+value["x"], "")
	for _, service := range []string{"api", "web"} {
		var targets []string
		for _, part := range strings.Split(value[service], ",") {
			version, weight, ok := strings.Cut(part, ":")
			if !ok {
				weight = "100"
			}
			node(service+"-"+version, service+"."+version, "")
			targets = append(targets, fmt.Sprintf("{virtualNodeRef: {name: %s-%s}, weight: %s}", service, version, weight))
		}
		fmt.Fprintf(&b, "---\n{apiVersion: appmesh.k8s.aws/v1beta2, kind: VirtualRouter, metadata: {name: %s, namespace: shop}, spec: {listeners: [{portMapping: {port: 80, protocol: http}}], routes: [{name: all, httpRoute: {match: {prefix: /}, action: {weightedTargets: [%s]}}}]}}\n", service, strings.Join(targets, ", "))
		fmt.Fprintf(&b, "---\n{apiVersion: appmesh.k8s.aws/v1beta2, kind: VirtualService, metadata: {name: %s, namespace: shop}, spec: {provider: {virtualRouter: {virtualRouterRef: {name: %s}}}}}\n", service, service)
		governed := fmt.Sprintf("{kind: VirtualRouter, name: %s}", service)
		one, both := slices.Contains(words, "one"), slices.Contains(words, "both")
		if both {
			governed = "{kind: VirtualRouter, name: api}, {kind: VirtualRouter, name: web}"
		}
		if !slices.Contains(words, "nogov") && !(service == "web" && (one || both)) {
			start := "merge"
			if slices.Contains(words, "pr") {
				start = "pull-request"
			}
			fmt.Fprintf(&b, "---\n{apiVersion: meshwright.dev/v1alpha1, kind: Rollout, metadata: {name: %s, namespace: shop}, spec: {targets: [%s], start: %s, %s}}\n", service, governed, start, steps)
		}
	}
	r, err := schema.NewLoader(schema.Config{}).Load(context.Background(), fstest.MapFS{"a.yaml": {Data: []byte(b.String())}})
	if err != nil {
		return nil, err
	}
	if r.Spec == nil {
		return nil, fmt.Errorf("%s: %v", line, r.Diagnostics)
	}
	meshes[line+steps] = r.Spec
	return r.Spec, nil
}

func (w *rolloutWorld) load(_ context.Context, files fs.FS) (*schema.Result, error) {
	text, err := fs.ReadFile(files, "mesh.txt")
	if err != nil {
		return nil, err
	}
	w.world.mu.Lock()
	w.loads = append(w.loads, string(text))
	w.world.mu.Unlock()
	if rest, bad := strings.CutPrefix(string(text), "bad"); bad {
		return &schema.Result{Documents: 1, Diagnostics: schema.Diagnostics{{Severity: schema.Error, Pos: schema.Pos{File: "mesh.txt", Line: 1}, What: rest}}}, nil
	}
	spec, err := meshOf(string(text), w.steps)
	return &schema.Result{Spec: spec, Documents: 10}, err
}

// weightsOf tells where a spec's routes lead: "api v1=75 v2=25, web v1=100, x=3".
func weightsOf(spec *schema.Spec) string {
	var parts []string
	for _, service := range []string{"api", "web"} {
		router := spec.VirtualRouters[schema.Key{Namespace: "shop", Name: service}]
		shares, total := map[string]uint32{}, uint32(0)
		for _, t := range router.Spec.Routes[0].Targets() {
			shares[strings.TrimPrefix(t.VirtualNodeRef.Name, service+"-")] += t.Weight
			total += t.Weight
		}
		part := service
		for _, v := range slices.Sorted(maps.Keys(shares)) {
			if shares[v] > 0 {
				part += fmt.Sprintf(" %s=%g", v, float64(shares[v])*100/float64(total))
			}
		}
		parts = append(parts, part)
	}
	other := spec.VirtualNodes[schema.Key{Namespace: "shop", Name: "other"}]
	return strings.Join(append(parts, strings.Replace(other.Spec.ServiceDiscovery.DNS.Hostname, "x", "x=", 1)), ", ")
}

func (w *rolloutWorld) start() *daemon {
	cfg, wake := w.config()
	cfg.Load, cfg.LoadPull, cfg.Plan = w.load, w.load, nil
	cfg.Proxies = rolloutProxies{&w.proxies, w}
	cfg.Translate = func(commit string, spec *schema.Spec, _ xds.State) xds.State {
		text := weightsOf(spec)
		if strings.Contains(text, "v4=") {
			text += " nack"
		}
		w.set(func() { w.texts = append(w.texts, text) })
		return fakeState{commit, text}
	}
	cfg.Traffic, cfg.Meter = w.traffic, w.meter
	if w.plan {
		cfg.Plan = func(served, to reconciler.Side, seen plan.Observed) *plan.Plan {
			return plan.New(plan.Side{Name: served.Commit, Spec: served.Spec}, plan.Side{Name: to.Commit, Spec: to.Spec}, seen)
		}
	}
	if w.hostless {
		cfg.Forge = nil
	}
	if w.log != nil {
		cfg.Logger = slog.New(slog.NewTextHandler(w.log, nil))
	}
	if w.query != nil {
		cfg.Query = func(_ context.Context, q string) (float64, error) { return w.query(q) }
	}
	d := run(w.t, cfg, wake)
	w.world.mu.Lock()
	defer w.world.mu.Unlock()
	w.last = d
	return d
}

// traffic: 100 requests a second to each service, by the weights that are served
// now.
func (w *rolloutWorld) traffic(_ xds.State, from, to time.Time) (map[schema.Ref]xds.Traffic, int, int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	got := map[schema.Ref]xds.Traffic{}
	if w.idle || w.mute {
		return got, 1, 1
	}
	for _, part := range strings.Split(strings.TrimSuffix(w.weights(), " nack"), ", ") {
		words := strings.Fields(part)
		for _, share := range words[1:] {
			version, percent, _ := strings.Cut(share, "=")
			var p float64
			_, _ = fmt.Sscan(percent, &p)
			node := words[0] + "-" + version
			t := xds.Traffic{Window: to.Sub(from), Requests: uint64(p * to.Sub(from).Seconds())}
			if w.rotten[node] {
				t.Errors = t.Requests / 3
			}
			got[schema.Ref{Kind: schema.KindVirtualNode, Key: schema.Key{Namespace: "shop", Name: node}}] = t
		}
	}
	return got, 1, 1
}

// weights are those that the proxies are given.
func (w *rolloutWorld) weights() string {
	w.proxies.mu.Lock()
	defer w.proxies.mu.Unlock()
	if w.proxies.state == nil {
		return ""
	}
	return w.proxies.state.text
}

// published is what was published since the last time.
func (w *rolloutWorld) published() (texts []string) {
	w.set(func() { texts, w.texts = w.texts, nil })
	return texts
}

func (w *rolloutWorld) set(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}

// rolloutProxies are Envoys of the caller, which tell of their traffic.
type rolloutProxies struct {
	*fakeProxies
	w *rolloutWorld
}

func (p rolloutProxies) Proxies() []xds.Proxy {
	now, mute := time.Now(), false
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	mute = p.w.mute
	all := p.fakeProxies.Proxies()
	for i := range all {
		all[i].ID, all[i].Identity = fmt.Sprintf("front-%d", i+1), xds.Identity{Mesh: "shop", Kind: schema.KindVirtualNode, Name: "front_shop"}
		all[i].Connected, all[i].Reported = now.Add(-time.Hour), now
		if mute {
			all[i].Reported = now.Add(-time.Hour)
		}
	}
	if p.w.back {
		all = append(all, xds.Proxy{ID: "back-1", Identity: xds.Identity{Mesh: "shop", Kind: schema.KindVirtualNode, Name: "back_shop"}, Connected: now.Add(-40 * time.Second), Note: "untouched"})
	}
	return all
}

// rollout is that of a name, as the daemon shows it.
func rollout(d *daemon, name string) reconciler.RolloutView {
	for _, v := range d.View().Rollouts {
		if v.Name == "shop/"+name {
			return v
		}
	}
	return reconciler.RolloutView{}
}

// standing is what stands beside a commit under a kind.
func (w *rolloutWorld) standing(commit, kind string) sources.Status {
	w.forge.mu.Lock()
	defer w.forge.mu.Unlock()
	return w.forge.standing[commit]["meshwright/"+kind]
}
