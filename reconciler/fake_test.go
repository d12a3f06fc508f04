package reconciler_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/meshwright/meshwright/reconciler"
	"github.com/meshwright/meshwright/reconciler/store"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/sources"
	"github.com/meshwright/meshwright/xds"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is all that outlives a daemon: the repository, its clone, the Envoys,
// the forge and the disk.
type world struct {
	branch  fakeBranch
	proxies fakeProxies
	forge   fakeForge
	disk    fakeDisk

	mu    sync.Mutex // guards:
	loads []string   // specs loaded, by any daemon
	last  *daemon
}

func newWorld() *world {
	w := &world{}
	w.branch.commits = map[string]*sources.Revision{}
	w.branch.clone = map[string]bool{}
	w.proxies.changed = make(chan struct{}, 1)
	w.proxies.envoys = 3
	w.forge.standing = map[string]map[string]sources.Status{}
	w.disk.Store = store.Memory()
	return w
}

// daemon is one process.
type daemon struct {
	*reconciler.Reconciler
	wake chan struct{}
	ctx  context.Context
	stop context.CancelFunc
	done chan struct{}
	err  error
}

func (w *world) config() (reconciler.Config, chan struct{}) {
	wake := make(chan struct{}, 1)
	w.proxies.restart()
	return reconciler.Config{
		Branch: &w.branch, Load: w.load, LoadPull: w.load, Translate: translate, Proxies: &w.proxies, Forge: &w.forge,
		Store: &w.disk, Wake: wake, BaseBranch: "main", Metrics: prometheus.NewPedanticRegistry(),
	}, wake
}

func (w *world) start(t *testing.T) *daemon {
	t.Helper()
	cfg, wake := w.config()
	d := run(t, cfg, wake)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = d
	return d
}

// running is the daemon that was started last; also for who is not the test.
func (w *world) running() *daemon {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last
}

func run(t *testing.T, cfg reconciler.Config, wake chan struct{}) *daemon {
	t.Helper()
	r, err := reconciler.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	d := &daemon{Reconciler: r, wake: wake, ctx: ctx, stop: cancel, done: make(chan struct{})}
	go func() {
		defer close(d.done)
		d.err = r.Run(ctx)
	}()
	return d
}

// ring wakes the daemon as the schedule does.
func (d *daemon) ring() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// end stops the daemon as SIGTERM does.
func (d *daemon) end(t *testing.T) {
	t.Helper()
	d.stop()
	<-d.done
	if d.err != nil {
		t.Errorf("Run: %v", d.err)
	}
}

// load reads a spec in a language of one line: "good …", "bad …", "warn …".
func (w *world) load(ctx context.Context, files fs.FS) (*schema.Result, error) {
	b, err := fs.ReadFile(files, "mesh.txt")
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	w.loads = append(w.loads, string(b))
	w.mu.Unlock()
	word, rest, _ := strings.Cut(string(b), " ")
	found := schema.Diagnostic{Severity: schema.Error, Pos: schema.Pos{File: "mesh.txt", Line: 1}, What: rest}
	switch word {
	case "bad":
		return &schema.Result{Documents: 1, Diagnostics: schema.Diagnostics{found}}, nil
	case "warn":
		found.Severity = schema.Warning
		return &schema.Result{Spec: specOf(string(b)), Documents: 1, Diagnostics: schema.Diagnostics{found}}, nil
	}
	if strings.HasPrefix(string(b), "empty") {
		return &schema.Result{Spec: schema.NewSpec()}, nil
	}
	return &schema.Result{Spec: specOf(string(b)), Documents: 1}, nil
}

func specOf(text string) *schema.Spec {
	s := schema.NewSpec()
	key := schema.Key{Namespace: "shop", Name: "web"}
	s.VirtualNodes[key] = &schema.VirtualNode{Meta: schema.Meta{
		Ref: schema.Ref{Kind: schema.KindVirtualNode, Key: key}, AWSName: "web_shop", Mesh: "shop", Pos: schema.Pos{File: "mesh.txt", Line: 1}, Digest: text,
	}}
	return s
}

func textOf(s *schema.Spec) string {
	for _, r := range s.All() {
		return schema.MetaOf(r).Digest
	}
	return ""
}

// fakeState is a state that is the spec's text.
type fakeState struct{ commit, text string }

func translate(commit string, spec *schema.Spec, _ xds.State) xds.State {
	return fakeState{commit, textOf(spec)}
}
func (s fakeState) Commit() string                                { return s.commit }
func (s fakeState) Resources(xds.Profile) (*xds.Resources, error) { return &xds.Resources{}, nil }

// fakeBranch is a repository and the daemon's clone of it.
type fakeBranch struct {
	mu      sync.Mutex
	commits map[string]*sources.Revision
	tip     string
	clone   map[string]bool
	down    error // of the host
	broken  error // of the clone, until the next fetch
	fetches int
}

func (b *fakeBranch) commit(text string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	hash := fmt.Sprintf("%040x", 0xc0ffee0000+len(b.commits)+1)
	hash = fmt.Sprintf("c%06d", len(b.commits)+1) + hash[7:]
	tree := sha256.Sum256([]byte(text))
	b.commits[hash] = &sources.Revision{
		Commit: hash, Tree: hex.EncodeToString(tree[:8]), Author: "Ann", Title: text,
		When: time.Date(2026, 9, 30, 0, len(b.commits), 0, 0, time.UTC), Files: fstest.MapFS{"mesh.txt": {Data: []byte(text)}},
	}
	return hash
}

// push makes a new newest commit.
func (b *fakeBranch) push(text string) string {
	hash := b.commit(text)
	b.reset(hash)
	return hash
}

func (b *fakeBranch) reset(hash string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tip = hash
}

func (b *fakeBranch) fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.down = err
}

func (b *fakeBranch) Fetch(context.Context) (*sources.Revision, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fetches++
	if b.down != nil {
		return nil, b.down
	}
	if b.tip == "" {
		return nil, errors.New("no such branch")
	}
	b.broken = nil
	for hash := range b.commits {
		b.clone[hash] = true
	}
	return revision(b.commits[b.tip])
}

func revision(rev *sources.Revision) (*sources.Revision, error) {
	if rev.Files == nil {
		return rev, fmt.Errorf("commit %.7s: %w", rev.Commit, sources.ErrNoPath)
	}
	return rev, nil
}

func (b *fakeBranch) Commit(hash string) (*sources.Revision, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.broken != nil {
		return nil, b.broken
	}
	if !b.clone[hash] {
		return nil, errors.New("no such commit")
	}
	return revision(b.commits[hash])
}

func (b *fakeBranch) FetchCommit(_ context.Context, hash, ref string) (*sources.Revision, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down != nil {
		return nil, b.down
	}
	if b.commits[hash] == nil || !strings.HasPrefix(ref, "refs/pull/") {
		return nil, fmt.Errorf("no %s at %s", hash, ref)
	}
	return revision(b.commits[hash])
}

// fakeProxies are some Envoys that take every state at once, except that one
// refuses each text with "nack" in it, and none answers while slow.
type fakeProxies struct {
	mu       sync.Mutex
	changed  chan struct{}
	envoys   int
	slow     bool
	held     string   // text that the Envoys have
	refused  string   // commit of the refusal that stands
	served   []string // commits published, by any daemon
	progress xds.Progress
	state    *fakeState // of the daemon that runs now
}

func (p *fakeProxies) restart() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.progress, p.state = xds.Progress{}, nil
}

func (p *fakeProxies) Publish(s xds.State) {
	p.mu.Lock()
	defer p.mu.Unlock()
	next := s.(fakeState)
	again := p.state != nil && p.state.commit == next.commit
	p.state = &next
	p.served = append(p.served, next.commit)
	if again {
		return // its progress goes on
	}
	p.progress = xds.Progress{Commit: next.commit}
	if next.text != p.held {
		p.progress.Touched = p.envoys
		p.refused = ""
		if strings.Contains(next.text, "nack") {
			p.refused = next.commit
		}
	}
	p.held = next.text
	if !p.slow {
		p.answer()
	}
	p.signal()
}

// answer lets the Envoys answer; p.mu is held.
func (p *fakeProxies) answer() {
	p.progress.Applied, p.progress.Took = p.progress.Touched, 140*time.Millisecond
	if p.refused != "" {
		p.progress.Touched = max(p.progress.Touched, 1)
		p.progress.Applied = p.progress.Touched - 1
		p.progress.Rejected = []xds.Rejection{{Proxy: "web-1", Type: xds.Listener, NACK: xds.NACK{Commit: p.refused, Message: "no such filter"}}}
	} else {
		p.progress.Rejected = nil
	}
}

func (p *fakeProxies) set(change func(*fakeProxies)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(p)
	p.signal()
}

func (p *fakeProxies) signal() {
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

func (p *fakeProxies) serving() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state == nil {
		return ""
	}
	return p.state.commit
}

func (p *fakeProxies) Proxies() []xds.Proxy {
	p.mu.Lock()
	defer p.mu.Unlock()
	return make([]xds.Proxy, p.envoys)
}

func (p *fakeProxies) Progress() xds.Progress {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.progress
}

func (p *fakeProxies) Changed() <-chan struct{} { return p.changed }

// fakeForge takes statuses and remembers the order.
type fakeForge struct {
	mu       sync.Mutex
	standing map[string]map[string]sources.Status
	log      []string // "commit context state description"
	times    []time.Time
	reads    int
	open     []sources.PullRequest
	lists    int
	down     error  // nothing is taken
	lossy    error  // all is taken, and the answer is lost
	after    func() // called after a status was taken
}

func limit(at time.Time) error {
	return &sources.RetryAfter{At: at, Err: errors.New("slow down")}
}

func (f *fakeForge) set(change func(*fakeForge)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

func (f *fakeForge) PullRequests(_ context.Context, base string) ([]sources.PullRequest, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lists++
	if f.down != nil {
		return nil, f.down
	}
	return slices.Clone(f.open), nil
}

func (f *fakeForge) SetStatus(_ context.Context, commit, name string, s sources.Status) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down != nil {
		return f.down
	}
	if f.standing[commit] == nil {
		f.standing[commit] = map[string]sources.Status{}
	}
	f.standing[commit][name] = s
	f.log = append(f.log, fmt.Sprintf("%.7s %s %s: %s", commit, name, s.State, s.Description))
	f.times = append(f.times, time.Now())
	if f.after != nil {
		f.after()
	}
	return f.lossy
}

func (f *fakeForge) Statuses(_ context.Context, commit string) (map[string]sources.Status, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reads++
	if f.down != nil {
		return nil, f.down
	}
	return maps.Clone(f.standing[commit]), nil
}

// lines are what was written and not taken.
func (f *fakeForge) lines() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.log)
}

// take returns what was written since the last take.
func (f *fakeForge) take() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	log := f.log
	f.log = nil
	return log
}

// fakeDisk is a store that can die with its process: then it has saved, or not,
// and nobody hears of it.
type fakeDisk struct {
	store.Store
	mu    sync.Mutex
	lives int  // saves until death; 0: immortal
	dead  bool // all saves fail
}

var errKilled = errors.New("killed")

func (d *fakeDisk) set(change func(*fakeDisk)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(d)
}

func (d *fakeDisk) CompareAndSet(ctx context.Context, key string, value []byte, version uint64) (uint64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead {
		return 0, errKilled
	}
	next, err := d.Store.CompareAndSet(ctx, key, value, version)
	if d.lives > 0 {
		if d.lives--; d.lives == 0 {
			d.dead = true
			return 0, errKilled
		}
	}
	return next, err
}

func refusal(commit string) xds.Rejection {
	return xds.Rejection{Proxy: "web-1", Type: xds.Listener, NACK: xds.NACK{Commit: commit, Message: "no such filter"}}
}

func specFiles(text string) fs.FS { return fstest.MapFS{"mesh.txt": {Data: []byte(text)}} }
