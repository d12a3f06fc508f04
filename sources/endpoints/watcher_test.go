package endpoints_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/sources/endpoints"
)

// registry is a stand-in that counts what it is asked.
type registry struct {
	mu        sync.Mutex
	instances map[string][]string // "service" or "service key=value" → addresses
	revision  map[string]int64
	lag       int64 // of the answers behind the revision
	checked   bool
	err       error

	revisions, discoveries int
}

func (r *registry) Revision(_ context.Context, _, service string) (int64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.revisions++
	return r.revision[service], r.err
}

func (r *registry) Discover(_ context.Context, q schema.Query) (endpoints.Answer, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.discoveries++
	name := q.Service
	for key, value := range q.Attributes() {
		name += " " + key + "=" + value
	}
	a := endpoints.Answer{Revision: r.revision[q.Service] - r.lag, Checked: r.checked}
	for _, addr := range r.instances[name] {
		a.Instances = append(a.Instances, schema.Instance{IPv4: netip.MustParseAddr(addr)})
	}
	return a, r.err
}

// set changes a service's instances, as an instance that comes or goes does.
func (r *registry) set(name string, addresses ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	service, _, _ := strings.Cut(name, " ")
	r.instances[name] = addresses
	r.revision[service]++
}

func (r *registry) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
}

// asked returns what was asked since the last time.
func (r *registry) asked() (revisions, discoveries int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	revisions, discoveries = r.revisions, r.discoveries
	r.revisions, r.discoveries = 0, 0
	return revisions, discoveries
}

func newRegistry() *registry {
	return &registry{instances: map[string][]string{}, revision: map[string]int64{}}
}

// spec has a node for each text: a service, and key=value conditions.
func spec(t testing.TB, nodes ...string) *schema.Spec {
	t.Helper()
	text := "{apiVersion: appmesh.k8s.aws/v1beta2, kind: Mesh, metadata: {name: shop}, spec: {namespaceSelector: {}}}\n"
	for i, node := range nodes {
		words := strings.Fields(node)
		attributes := ""
		for _, w := range words[1:] {
			key, value, _ := strings.Cut(w, "=")
			attributes += fmt.Sprintf("{key: %q, value: %q}, ", key, value)
		}
		text += fmt.Sprintf("---\n{apiVersion: appmesh.k8s.aws/v1beta2, kind: VirtualNode, metadata: {name: n%d, namespace: shop}, spec: {listeners: [{portMapping: {port: 80, protocol: http}}], "+
			"serviceDiscovery: {awsCloudMap: {namespaceName: local, serviceName: %s, attributes: [%s]}}}}\n", i, words[0], attributes)
	}
	r, err := schema.NewLoader(schema.Config{}).Load(t.Context(), fs.FS(fstest.MapFS{"shop.yaml": {Data: []byte(text)}}))
	if err != nil || r.Spec == nil {
		t.Fatalf("the spec does not load: %v\n%s", err, r.Diagnostics)
	}
	return r.Spec
}

// known spells what a watcher has found.
func known(w *endpoints.Watcher) string {
	found := w.Found()
	var lines []string
	for _, q := range slices.SortedFunc(maps.Keys(found), schema.Query.Compare) {
		line := q.Service
		for key, value := range q.Attributes() {
			line += " " + key + "=" + value
		}
		for _, i := range found[q].Instances {
			line += " " + i.IPv4.String()
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "; ")
}

// watch runs a watcher in the bubble of a synctest.
func watch(t *testing.T, c endpoints.Config) *endpoints.Watcher {
	t.Helper()
	w, err := endpoints.New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { _ = w.Run(ctx); close(done) }()
	t.Cleanup(func() { stop(); <-done })
	return w
}

func expect(t *testing.T, w *endpoints.Watcher, what, want string) {
	t.Helper()
	if got := known(w); got != want {
		t.Errorf("%s: known is %q, want %q", what, got, want)
	}
}

// A poll reads instances only where a revision says so; one that says nothing
// new tells nobody.
func TestPollCostsLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var moved atomic.Int64
		r := newRegistry()
		r.set("web", "10.0.0.1")
		r.set("web v=2", "10.0.0.2")
		w := watch(t, endpoints.Config{Registry: r, Moved: func() { moved.Add(1) }})

		time.Sleep(time.Hour)
		if revisions, discoveries := r.asked(); revisions+discoveries > 0 {
			t.Errorf("nothing is wanted, and %d questions were asked", revisions+discoveries)
		}
		w.Serve(spec(t, "web", "web v=2", "web v=2"))
		time.Sleep(time.Second)
		expect(t, w, "at first", "web 10.0.0.1; web v=2 10.0.0.2")
		if revisions, discoveries := r.asked(); revisions != 1 || discoveries != 2 || moved.Load() != 1 {
			t.Errorf("at first: %d revisions, %d discoveries, %d moves", revisions, discoveries, moved.Load())
		}
		time.Sleep(time.Minute)
		if revisions, discoveries := r.asked(); revisions != 12 || discoveries != 0 || moved.Load() != 1 {
			t.Errorf("in a quiet minute: %d revisions, %d discoveries, %d moves", revisions, discoveries, moved.Load())
		}
		first := w.Found()
		r.set("web", "10.0.0.1", "10.0.0.9")
		time.Sleep(6 * time.Second)
		expect(t, w, "one more", "web 10.0.0.1 10.0.0.9; web v=2 10.0.0.2")
		if _, discoveries := r.asked(); discoveries != 2 || moved.Load() != 2 {
			t.Errorf("one more: %d discoveries, %d moves", discoveries, moved.Load())
		}
		for q, f := range w.Found() {
			if same := f == first[q]; same != (q.Attributes() != nil) {
				t.Errorf("%v: the same answer: %v", q, same)
			}
		}
		w.Serve(spec(t, "web"))
		time.Sleep(6 * time.Second)
		expect(t, w, "one wish less", "web 10.0.0.1 10.0.0.9")
	})
}

// Health moves without a revision, and an answer may lag behind it.
func TestWhenRevisionsDoNotDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry()
		r.set("web", "10.0.0.1", "10.0.0.2")
		r.checked = true
		w := watch(t, endpoints.Config{Registry: r})
		w.Serve(spec(t, "web"))
		time.Sleep(time.Second)
		r.mu.Lock()
		r.instances["web"] = []string{"10.0.0.2"} // the other is unhealthy
		r.mu.Unlock()
		time.Sleep(5 * time.Second)
		expect(t, w, "health", "web 10.0.0.2")

		r.mu.Lock()
		r.checked = false
		r.mu.Unlock()
		time.Sleep(10 * time.Second)
		r.set("web", "10.0.0.2") // 10.0.0.3 is there, the answer does not have it yet
		r.mu.Lock()
		r.lag = 1
		r.mu.Unlock()
		time.Sleep(5 * time.Second)
		r.mu.Lock()
		r.lag, r.instances["web"] = 0, []string{"10.0.0.2", "10.0.0.3"}
		r.mu.Unlock()
		time.Sleep(5 * time.Second)
		expect(t, w, "lag", "web 10.0.0.2 10.0.0.3")
	})
}

// A registry that fails keeps what it said last, is asked ever less, and is
// told of once; so it is over a restart.
func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		r, file := newRegistry(), filepath.Join(t.TempDir(), "endpoints.json")
		r.set("web v=2", "10.0.0.1")
		config := endpoints.Config{Registry: r, File: file, Logger: slog.New(slog.NewTextHandler(&log, nil))}
		w := watch(t, config)
		w.Serve(spec(t, "web v=2"))
		time.Sleep(time.Second)

		r.fail(errors.New("away"))
		r.set("web v=2", "10.0.0.2")
		r.asked()
		time.Sleep(time.Hour)
		expect(t, w, "away", "web v=2 10.0.0.1")
		if revisions, _ := r.asked(); revisions < 55 || revisions > 75 {
			t.Errorf("it was asked %d times in an hour", revisions)
		}
		if n := strings.Count(log.String(), "level=WARN"); n != 1 || !strings.Contains(log.String(), "away") {
			t.Errorf("it is told %d times:\n%s", n, &log)
		}

		again := watch(t, config)
		again.Serve(spec(t, "web v=2", "db"))
		time.Sleep(time.Second)
		expect(t, again, "a new start", "web v=2 10.0.0.1")
		began := time.Now()
		again.Await(t.Context(), spec(t, "web v=2"), time.Hour)
		if took := time.Since(began); took > 0 {
			t.Errorf("what is known was waited for, %s", took)
		}
		again.Await(t.Context(), spec(t, "web v=2", "db"), 3*time.Second)
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("what is not known was waited for %s", took)
		}

		r.fail(nil)
		time.Sleep(2 * time.Minute)
		expect(t, w, "back", "web v=2 10.0.0.2")
		expect(t, again, "a new start, back", "db; web v=2 10.0.0.2")
		if !strings.Contains(log.String(), "answered again") {
			t.Errorf("it is not told that it is back:\n%s", &log)
		}
	})
}

// What a spec needs that is served next is there when it is.
func TestAwait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry()
		r.set("web", "10.0.0.1")
		r.set("db", "10.0.0.2")
		w := watch(t, endpoints.Config{Registry: r})
		w.Serve(spec(t, "web"))
		next := spec(t, "web", "db")
		w.Await(t.Context(), next, time.Minute)
		expect(t, w, "before it is served", "db 10.0.0.2; web 10.0.0.1")

		// What is served may be translated anew while one waits for what comes.
		r.set("new", "10.0.0.3")
		w.Serve(spec(t, "web"))
		waited := make(chan time.Duration)
		go func() {
			began := time.Now()
			w.Await(t.Context(), spec(t, "web", "new"), time.Minute)
			waited <- time.Since(began)
		}()
		for range 3 {
			w.Serve(spec(t, "web"))
		}
		if took := <-waited; took > 5*time.Second {
			t.Errorf("it was waited for %s", took)
		}
		w.Await(t.Context(), next, time.Minute)
		w.Serve(next)
		time.Sleep(time.Minute)
		expect(t, w, "when it is served", "db 10.0.0.2; web 10.0.0.1")
	})
}

// A file that cannot be read is told, and costs nothing else.
func TestBrokenFile(t *testing.T) {
	var log bytes.Buffer
	file := filepath.Join(t.TempDir(), "endpoints.json")
	if err := os.WriteFile(file, []byte(`[{"query": {"namespaceName": "local"`), 0o600); err != nil {
		t.Fatal(err)
	}
	w, err := endpoints.New(endpoints.Config{Registry: newRegistry(), File: file, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil || len(w.Found()) > 0 || !strings.Contains(log.String(), "level=WARN") {
		t.Errorf("got %v, found %v, log %q", err, w, log.String())
	}
}
