package reconciler_test

import (
	"cmp"
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
	"github.com/meshwright/meshwright/reconciler/plan"
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

	deployments bool                // are written
	protect     []schema.Protection // in the specs' settings

	mu    sync.Mutex // guards:
	loads []string   // specs loaded, by any daemon
	last  *daemon
}

func newWorld() *world {
	w := &world{}
	w.branch.commits = map[string]*sources.Revision{}
	w.branch.clone, w.branch.parents = map[string]bool{}, map[string]string{}
	w.proxies.changed = make(chan struct{}, 1)
	w.proxies.envoys = 3
	w.forge.standing = map[string]map[string]sources.Status{}
	w.forge.comments, w.forge.reactions, w.forge.deployed = map[string]string{}, map[int64][]string{}, map[string]sources.Status{}
	w.forge.merged, w.forge.reverts = map[string]int{}, map[string]sources.Revert{}
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
		Branch: &w.branch, Load: w.load, LoadPull: w.load, Translate: translate, Plan: plans, Proxies: &w.proxies, Forge: &w.forge,
		Store: &w.disk, Wake: wake, BaseBranch: "main", Deployments: w.deployments, Metrics: prometheus.NewPedanticRegistry(),
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

// lands makes a commit the newest of the branch, and gives a daemon a while.
func (w *world) lands(d *daemon, text string, while time.Duration) string {
	commit := w.branch.push(text)
	d.ring()
	after(while)
	return commit
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

// load reads a spec in a language of one line a file: "good …", "bad …",
// "warn …". mesh.txt is the node web, web.txt would be another.
func (w *world) load(ctx context.Context, files fs.FS) (*schema.Result, error) {
	names, err := fs.Glob(files, "*.txt")
	if err != nil || len(names) == 0 {
		return nil, fmt.Errorf("no files: %w", err)
	}
	result := &schema.Result{Spec: schema.NewSpec()}
	result.Spec.Settings = &schema.Settings{Protect: w.protect}
	var texts []string
	for _, name := range names {
		b, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		texts = append(texts, string(b))
		word, rest, _ := strings.Cut(string(b), " ")
		found := schema.Diagnostic{Severity: schema.Error, Pos: schema.Pos{File: name, Line: 1}, What: rest}
		switch word {
		case "empty":
			continue
		case "bad":
			result.Diagnostics = append(result.Diagnostics, found)
		case "warn":
			found.Severity = schema.Warning
			result.Diagnostics = append(result.Diagnostics, found)
		}
		result.Documents++
		node := specOf(strings.TrimSuffix(strings.Replace(name, "mesh", "web", 1), ".txt"), string(b))
		result.Spec.VirtualNodes[node.Ref.Key] = node
	}
	w.mu.Lock()
	w.loads = append(w.loads, strings.Join(texts, "; "))
	w.mu.Unlock()
	if len(result.Diagnostics.Errors()) > 0 {
		result.Spec = nil
	}
	return result, nil
}

func specOf(name, text string) *schema.VirtualNode {
	key := schema.Key{Namespace: "shop", Name: name}
	return &schema.VirtualNode{Meta: schema.Meta{
		Ref: schema.Ref{Kind: schema.KindVirtualNode, Key: key}, AWSName: name + "_shop", Mesh: "shop", Pos: schema.Pos{File: "mesh.txt", Line: 1}, Digest: text,
	}}
}

func textOf(s *schema.Spec) string {
	var texts []string
	for _, r := range s.All() {
		texts = append(texts, schema.MetaOf(r).Digest)
	}
	return strings.Join(texts, "; ")
}

// plans plans the resources, and nothing else.
func plans(served, to reconciler.Side, _ plan.Observed) *plan.Plan {
	p := &plan.Plan{From: served.Commit, To: to.Commit}
	for _, c := range schema.Diff(served.Spec, to.Spec) {
		p.Resources = append(p.Resources, plan.Resource{Change: c})
	}
	return p
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
	parents map[string]string
	tip     string
	clone   map[string]bool
	down    error // of the host
	broken  error // of the clone, until the next fetch
	fetches int
	fetched string // the tip

	unmergeable error // what Merge answers
	merges      int
}

func (b *fakeBranch) commit(text string) string { return b.files(map[string]string{"mesh.txt": text}) }

// files makes a commit on the newest one.
func (b *fakeBranch) files(files map[string]string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	hash := fmt.Sprintf("%040x", 0xc0ffee0000+len(b.commits)+1)
	hash = fmt.Sprintf("c%06d", len(b.commits)+1) + hash[7:]
	b.parents[hash] = b.tip
	b.commits[hash] = revisionOf(hash, files, len(b.commits))
	return hash
}

func revisionOf(hash string, files map[string]string, minutes int) *sources.Revision {
	fsys, tree, title := fstest.MapFS{}, sha256.New(), ""
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fsys[name] = &fstest.MapFile{Data: []byte(files[name])}
		fmt.Fprintf(tree, "%s %s;", name, files[name])
		title = files[name]
	}
	return &sources.Revision{
		Commit: hash, Tree: hex.EncodeToString(tree.Sum(nil)[:8]), Author: "Ann", Title: title,
		When: time.Date(2026, 9, 30, 0, minutes, 0, 0, time.UTC), Files: fsys,
	}
}

// Merge merges whole files, as sources/git does.
func (b *fakeBranch) Merge(_ context.Context, base, head string) (*sources.Merge, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.merges++; b.unmergeable != nil {
		return nil, b.unmergeable
	}
	if b.commits[base] == nil || b.commits[head] == nil {
		return nil, errors.New("no such commit")
	}
	ancestors := map[string]bool{}
	for c := base; c != ""; c = b.parents[c] {
		ancestors[c] = true
	}
	m := &sources.Merge{Base: head}
	for m.Base != "" && !ancestors[m.Base] {
		m.Base = b.parents[m.Base]
	}
	was, ours, theirs := b.texts(m.Base), b.texts(base), b.texts(head)
	result, names := map[string]string{}, map[string]bool{}
	for _, side := range []map[string]string{was, ours, theirs} {
		for name := range side {
			names[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		w, o, t := was[name], ours[name], theirs[name]
		if t != w {
			m.Changed = append(m.Changed, name)
		}
		if o != w {
			m.BaseChanged = append(m.BaseChanged, name)
		}
		if t != w && o != w && t != o {
			m.Conflicts = append(m.Conflicts, name)
		}
		if t == w {
			t = o
		}
		if t != "" {
			result[name] = t
		}
	}
	if len(m.Conflicts) == 0 {
		m.Revision = revisionOf(head, result, 0)
		m.Revision.Title, m.Revision.When = b.commits[head].Title, b.commits[head].When
		if len(result) == 0 {
			m.Revision.Files = nil
		}
	}
	return m, nil
}

func (b *fakeBranch) Revert(_ context.Context, commit, to, tip string) (*sources.Revert, error) {
	return &sources.Revert{Commit: commit, To: to, Tip: tip}, nil
}

func (b *fakeBranch) History(_ context.Context, n int) (all []sources.Revision, _ error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for c := b.tip; c != "" && len(all) < n; c = b.parents[c] {
		all = append(all, *b.commits[c])
	}
	return all, nil
}

// texts are a commit's files; b.mu is held.
func (b *fakeBranch) texts(commit string) map[string]string {
	texts := map[string]string{}
	if rev := b.commits[commit]; rev != nil && rev.Files != nil {
		for name, f := range rev.Files.(fstest.MapFS) {
			texts[name] = string(f.Data)
		}
	}
	return texts
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
	now := *b.commits[b.tip]
	for c := b.parents[b.tip]; c != "" && c != b.fetched && b.fetched != b.tip; c = b.parents[c] {
		now.Landed = append(now.Landed, c)
	}
	if b.fetched == "" {
		now.Landed = nil
	}
	b.fetched = b.tip
	return revision(&now)
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
	if b.commits[hash] == nil || ref != "" && !strings.HasPrefix(ref, "refs/pull/") {
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
	held     string   // text that the Envoys have, but for one that refuses it
	refused  string   // commit of the refusal that stands
	served   []string // commits published, by any daemon
	progress xds.Progress
	state    *fakeState // of the daemon that runs now
}

func (p *fakeProxies) restart() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.progress, p.state, p.refused = xds.Progress{}, nil, "" // who has refused is asked anew
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
	nack := strings.Contains(next.text, "nack")
	switch {
	case next.text != p.held:
		p.progress.Touched = p.envoys
	case nack && p.refused == "":
		p.progress.Touched = 1
	}
	switch {
	case !nack:
		p.refused = ""
	case p.progress.Touched > 0:
		p.refused = next.commit
	}
	if !p.slow {
		p.answer()
	}
	p.signal()
}

// answer lets the Envoys answer; p.mu is held.
func (p *fakeProxies) answer() {
	if p.state != nil {
		p.held = p.state.text
	}
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

func (p *fakeProxies) Connected() int { return len(p.Proxies()) }

func (p *fakeProxies) Proxies() []xds.Proxy {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]xds.Proxy, p.envoys)
	for i := range all {
		if p.state == nil {
			break
		}
		if all[i].Desired = p.state.commit; p.progress.Done() {
			all[i].Applied = p.state.commit
		}
	}
	return all
}

func (p *fakeProxies) Progress() xds.Progress {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.progress
}

func (p *fakeProxies) Changed() <-chan struct{} { return p.changed }

// fakeForge takes letters and remembers the order.
type fakeForge struct {
	mu       sync.Mutex
	standing map[string]map[string]sources.Status
	log      []string // statuses: "commit context state description"
	times    []time.Time
	reads    int
	open     []sources.PullRequest
	groups   []string
	queue    error // of the groups
	lists    int
	fates    map[int]sources.Fate // of pull requests that are not open
	fateful  int                  // how often one was asked for
	calls    int                  // of any kind
	down     error                // nothing is taken
	lossy    error                // all is taken, and the answer is lost
	after    func()               // called after a letter was taken

	said      []sources.Comment // by people
	unseen    []int64           // of these; its copy that answers lags behind
	since     time.Time         // from when on they were asked for last
	writers   []string
	secretive bool              // does not tell us who they are
	merged    map[string]int    // pull request by commit
	forgetful int               // how often it does not know it yet
	comments  map[string]string // of ours, by "pull/key"
	edits     []string          // of them: "pull/key"
	reactions map[int64][]string
	deployed  map[string]sources.Status // by "commit environment"

	annotations bool                           // are taken
	approved    map[string][]string            // by "pull head"
	others      map[string]sources.StatusState // of statuses of others, by "commit context"
	reverts     map[string]sources.Revert      // that were opened, by key
	unwritable  error                          // what OpenRevert answers
	labeled     map[string]labeled             // by "pull label"
	pushed      map[string]time.Time           // by head
}

// labeled is who has set a label, and when.
type labeled struct {
	login string
	at    time.Time
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
	f.calls++
	if f.down != nil {
		return nil, f.down
	}
	return slices.Clone(f.open), nil
}

func (f *fakeForge) Fate(_ context.Context, pull int, _ string) (sources.Fate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fateful++
	return f.fates[pull], f.ask()
}

func (f *fakeForge) Limits() sources.Limits {
	return sources.Limits{Description: 140, Comment: 65000, Annotations: f.annotations, Deployments: true}
}

// ask does what every reading call does; f.mu is held.
func (f *fakeForge) ask() error {
	f.calls++
	return f.down
}

// taken does what every writing call does at its end; f.mu is held.
func (f *fakeForge) taken() error {
	f.times = append(f.times, time.Now())
	if f.after != nil {
		f.after()
	}
	return f.lossy
}

func (f *fakeForge) MergeGroups(context.Context, string) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.groups), cmp.Or(f.ask(), f.queue)
}

func (f *fakeForge) SetComment(_ context.Context, pull int, key, body string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.ask(); err != nil {
		return err
	}
	to := fmt.Sprintf("%d/%s", pull, key)
	if f.comments[to] != body {
		f.comments[to] = body
		f.edits = append(f.edits, to)
	}
	return f.taken()
}

func (f *fakeForge) Comments(_ context.Context, since time.Time) ([]sources.Comment, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.since = since
	var list []sources.Comment
	for _, c := range f.said {
		if !c.Created.Before(since) && !slices.Contains(f.unseen, c.ID) {
			list = append(list, c)
		}
	}
	return list, f.ask()
}

// say lets somebody comment now.
func (f *fakeForge) say(pull int, who, body string) (id int64) {
	f.set(func(f *fakeForge) {
		id = int64(len(f.said) + 1)
		f.said = append(f.said, sources.Comment{ID: id, Pull: pull, Author: who, Created: time.Now().UTC().Truncate(time.Second), Body: body})
	})
	return id
}

func (f *fakeForge) MayWrite(_ context.Context, login string) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.secretive {
		f.calls++
		return false, &sources.Permanent{Err: errors.New("make the daemon's account an administrator")}
	}
	return slices.Contains(f.writers, login), f.ask()
}

func (f *fakeForge) LabeledBy(_ context.Context, pull int, label string) (string, time.Time, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	who := f.labeled[fmt.Sprintf("%d %s", pull, label)]
	return who.login, who.at, f.ask()
}

func (f *fakeForge) HeadSince(_ context.Context, pull int, head string) (time.Time, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.pushed[head], f.ask()
}

func (f *fakeForge) Approvals(_ context.Context, pull int, head string) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.approved[fmt.Sprintf("%d %s", pull, head)], f.ask()
}

func (f *fakeForge) StatusOf(_ context.Context, commit, name string) (sources.StatusState, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.others[commit+" "+name], f.ask()
}

func (f *fakeForge) OpenRevert(_ context.Context, r sources.Revert) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.ask(); err != nil {
		return 0, err
	}
	if f.unwritable != nil {
		return 0, f.unwritable
	}
	if _, opened := f.reverts[r.Key]; !opened {
		f.reverts[r.Key] = r
	}
	return 100, f.taken()
}

func (f *fakeForge) React(_ context.Context, comment int64, reaction string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.ask(); err != nil {
		return err
	}
	if !slices.Contains(f.reactions[comment], reaction) {
		f.reactions[comment] = append(f.reactions[comment], reaction)
	}
	return f.taken()
}

func (f *fakeForge) PullOf(_ context.Context, commit string) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.forgetful > 0 && f.merged[commit] != 0 {
		f.forgetful--
		return 0, f.ask()
	}
	return f.merged[commit], f.ask()
}

func (f *fakeForge) SetDeployment(_ context.Context, commit, environment string, s sources.Status) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.ask(); err != nil {
		return err
	}
	f.deployed[commit+" "+environment] = s
	return f.taken()
}

func (f *fakeForge) SetStatus(_ context.Context, commit, name string, s sources.Status) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.ask(); err != nil {
		return err
	}
	if f.standing[commit] == nil {
		f.standing[commit] = map[string]sources.Status{}
	}
	f.standing[commit][name] = s
	f.log = append(f.log, fmt.Sprintf("%.7s %s %s: %s", commit, name, s.State, s.Description))
	return f.taken()
}

func (f *fakeForge) Statuses(_ context.Context, commit string) (map[string]sources.Status, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reads++
	if err := f.ask(); err != nil {
		return nil, err
	}
	return maps.Clone(f.standing[commit]), nil
}

// rerequest takes back what stands beside a commit, as GitHub does with a check
// run that somebody asks for again.
func (f *fakeForge) rerequest(commit string) {
	f.set(func(f *fakeForge) {
		for name, st := range f.standing[commit] {
			st.State = sources.Pending
			f.standing[commit][name] = st
		}
	})
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

func (d *fakeDisk) Delete(ctx context.Context, key string, version uint64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead {
		return errKilled
	}
	err := d.Store.Delete(ctx, key, version)
	if d.lives > 0 {
		if d.lives--; d.lives == 0 {
			d.dead = true
			return errKilled
		}
	}
	return err
}

func refusal(commit string) xds.Rejection {
	return xds.Rejection{Proxy: "web-1", Type: xds.Listener, NACK: xds.NACK{Commit: commit, Message: "no such filter"}}
}

func specFiles(text string) fs.FS { return fstest.MapFS{"mesh.txt": {Data: []byte(text)}} }
