package main

import (
	"context"
	"fmt"
	"os/exec"
	"path"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/meshwright/meshwright/cmd/meshwright/internal/demo"
	"github.com/meshwright/meshwright/cmd/meshwright/internal/lab"
	"github.com/meshwright/meshwright/fixtures"
	"github.com/meshwright/meshwright/reconciler/report"
)

// realPart finds a program that nobody here wrote; the test is skipped without
// it, or fails with REQUIRE_REAL=1.
func realPart(t testing.TB, name string) string {
	t.Helper()
	bin, err := lab.Tool(name)
	if err != nil {
		fixtures.Missing(t, err.Error())
	}
	return bin
}

// newLab makes a lab around this test binary as the program.
func newLab(t testing.TB) *lab.Lab {
	t.Helper()
	envoy := realPart(t, "envoy")
	l, err := lab.New(lab.Config{Meshwright: program(t), Envoy: envoy})
	must(t, err)
	t.Cleanup(l.Close)
	return l
}

// program is this test binary, which TestMain lets be the program.
func program(t testing.TB) string {
	t.Helper()
	exe, err := exec.LookPath("meshwright")
	must(t, err)
	return exe
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const (
	repository    = "mesh"
	webhookSecret = "a secret that both ends know"
)

// world is everything that the end-to-end test runs.
type world struct {
	t       *testing.T
	lab     *lab.Lab
	gitea   *lab.Gitea
	clone   *lab.Clone
	config  lab.DaemonConfig
	daemon  *lab.Daemon
	yelb    *lab.Yelb
	flow    *lab.Traffic
	serving string   // the commit that the proxies should have
	flags   []string // of the daemon, beside those that all have
	secrets []string // of the daemon, in its environment
	proxies []string // flags of the proxies' bootstraps
}

// TestE2E is the main job with real parts at both ends: a git host that is
// pushed to, takes statuses and sends webhooks, and five Envoys under traffic.
// The daemon would poll once an hour: what happens, webhooks have set off.
func TestE2E(t *testing.T) {
	w := &world{t: t, lab: newLab(t)}
	w.begin(realPart(t, "gitea"))

	t.Run("all_on_v1", func(t *testing.T) {
		w.enter(t)
		w.split(map[string]float64{"v1": 1})
		w.status(w.serving, "meshwright/check", "success", `^11 resources$`)
		// Proxies that came after the commit have had it from their start.
		w.status(w.serving, "meshwright/applied", "success", `^no proxy touched, of `)
	})
	t.Run("a_change_on_every_proxy", func(t *testing.T) {
		w.enter(t)
		w.write(w.accessLogs)
		w.apply("access logs everywhere")
		w.split(map[string]float64{"v1": 1})
		w.status(w.serving, "meshwright/applied", "success", `^5/5 proxies in \d`)
	})
	t.Run("half_on_v2", func(t *testing.T) {
		w.enter(t)
		w.write(w.router(demo.Half))
		w.apply("half to v2")
		w.split(map[string]float64{"v1": 0.5, "v2": 0.5})
		w.status(w.serving, "meshwright/applied", "success", `^1/1 proxies in \d`)
	})
	t.Run("all_on_v2", func(t *testing.T) {
		w.enter(t)
		w.write(w.router(demo.All))
		w.apply("all to v2")
		w.split(map[string]float64{"v2": 1})
		w.status(w.serving, "meshwright/check", "success", `^11 resources$`)
	})
	t.Run("a_bad_commit_changes_nothing", func(t *testing.T) {
		w.enter(t)
		sent, updates := w.sent(), w.updates()
		w.write(w.router(demo.TenthMisspelt))
		bad := w.push("a typo")
		w.status(bad, "meshwright/check", "failure", `appmesh-yelb-appserver\.yaml:\d+:\d+: .*no VirtualNode/yelb/yelb-apserver`)
		w.status(bad, "meshwright/applied", "failure", "serving "+report.Short(w.serving))
		w.split(map[string]float64{"v2": 1})
		if s, u := w.sent(), w.updates(); s != sent || u != updates {
			t.Errorf("%d responses sent, %d updates taken after a bad commit", s-sent, u-updates)
		}
		c, err := w.daemon.Commit(t.Context(), w.serving)
		must(t, err)
		if !c.Serving {
			t.Errorf("%s is not served any more", w.serving)
		}
	})
	t.Run("its_fix_turns_green", func(t *testing.T) {
		w.enter(t)
		w.write(w.router(demo.Tenth))
		w.apply("spell it right")
		w.split(map[string]float64{"v1": 0.1, "v2": 0.9})
		w.status(w.serving, "meshwright/check", "success", `^11 resources$`)
	})
	t.Run("a_pull_request_is_checked", func(t *testing.T) {
		w.enter(t)
		sent := w.sent()
		must(t, w.clone.Checkout(t.Context(), "-b", "idea"))
		w.write(w.router(demo.TenthMisspelt))
		bad := w.push("an idea")
		must(t, w.gitea.OpenPull(t.Context(), repository, "idea", "an idea"))
		w.status(bad, "meshwright/check", "failure", "no VirtualNode/yelb/yelb-apserver")
		w.write(w.router(demo.Half))
		good := w.push("a better one")
		w.status(good, "meshwright/check", "success", `^11 resources$`)
		must(t, w.clone.Checkout(t.Context(), "main"))
		if s := w.sent(); s != sent {
			t.Errorf("a pull request sent %d responses to proxies", s-sent)
		}
	})
	t.Run("kill_and_restart", func(t *testing.T) {
		w.enter(t)
		updates := w.updates()
		w.daemon.Kill()
		time.Sleep(200 * time.Millisecond) // traffic without a control plane
		w.restart()
		w.reconnected()
		if n := w.sent(); n != 0 {
			t.Errorf("%d responses to proxies that have everything", n)
		}
		if n := w.updates(); n != updates {
			t.Errorf("%d updates came over a restart", n-updates)
		}
		w.split(map[string]float64{"v1": 0.1, "v2": 0.9})
		w.write(w.router(demo.All))
		w.apply("and on it goes")
		w.split(map[string]float64{"v2": 1})
	})
	flow := w.flow.Stop()
	t.Logf("steady traffic all the while: %v", flow)
	if flow.Failed > 0 {
		t.Errorf("%d requests failed, the first with: %s", flow.Failed, flow.FirstFailure)
	}
}

// enter makes the world the subtest's. The subtests are one story: after one
// has failed, the world is not as the next needs it.
func (w *world) enter(t *testing.T) {
	if w.t.Failed() {
		t.Skip("an earlier part of the story has failed")
	}
	w.t = t
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the daemon's log:\n%s", w.daemon.Log())
		}
	})
}

// begin starts everything on the story's first commit. Without a Gitea the
// repository is a folder, which is looked at all the time.
func (w *world) begin(gitea string) {
	t := w.t
	ctx := t.Context()
	var err error
	var remote string
	if gitea == "" {
		remote, err = w.lab.BareRepo(ctx)
		must(t, err)
		w.config = lab.DaemonConfig{Repo: remote, Args: []string{"--path", demo.SpecDir, "--poll", "50ms"}}
	} else {
		w.gitea, err = w.lab.StartGitea(ctx, gitea)
		must(t, err)
		remote, err = w.gitea.NewRepo(ctx, repository)
		must(t, err)
		w.config = w.gitea.Daemon(repository, webhookSecret)
		w.config.Args = append(w.config.Args, "--path", demo.SpecDir, "--poll", "1h")
	}
	w.clone, err = w.lab.NewClone(ctx, remote)
	must(t, err)
	files, err := demo.Repository()
	must(t, err)
	must(t, w.clone.Write(files))
	w.serving, err = w.clone.Commit(ctx, "App Mesh's manifests as they are")
	must(t, err)
	must(t, w.clone.Push(ctx))
	w.config.Args, w.config.Env = append(w.config.Args, w.flags...), append(w.config.Env, w.secrets...)
	w.daemon, err = w.lab.StartDaemon(ctx, w.config)
	must(t, err)
	if w.gitea != nil {
		must(t, w.gitea.Hook(ctx, repository, w.daemon.HTTP+"/webhooks/github", webhookSecret))
	}
	w.yelb, err = w.lab.StartYelb(ctx, w.daemon.XDS, w.proxies...)
	must(t, err)
	must(t, w.yelb.Live(ctx))
	w.flow = w.yelb.Page.Flow(context.WithoutCancel(ctx), 10*time.Millisecond)
	w.lab.OnClose(func() { w.flow.Stop() })
}

// restart starts a daemon in the killed one's place.
func (w *world) restart() {
	c := w.config
	c.XDS, c.HTTP = w.daemon.XDS, strings.TrimPrefix(w.daemon.HTTP, "http://")
	var err error
	w.daemon, err = w.lab.StartDaemon(w.t.Context(), c)
	must(w.t, err)
}

// reconnected waits until all proxies are back and have what they should.
func (w *world) reconnected() {
	w.t.Helper()
	must(w.t, lab.Eventually(w.t.Context(), 60*time.Second, "the proxies are back", func() error {
		proxies, err := w.daemon.Proxies(w.t.Context())
		if err != nil {
			return err
		}
		if len(proxies) != len(w.yelb.Envoys) {
			return fmt.Errorf("%d proxies", len(proxies))
		}
		for _, p := range proxies {
			if p.Desired != w.serving || p.Applied != w.serving {
				return fmt.Errorf("%+v", p)
			}
		}
		return nil
	}))
}

// write edits the work tree.
func (w *world) write(edit func() (map[string]string, error)) {
	w.t.Helper()
	files, err := edit()
	must(w.t, err)
	must(w.t, w.clone.Write(files))
}

// router puts another router into its file.
func (w *world) router(router func() (string, error)) func() (map[string]string, error) {
	return func() (map[string]string, error) {
		text, err := router()
		if err != nil {
			return nil, err
		}
		file, err := w.clone.Read(demo.RouterFile)
		if err != nil {
			return nil, err
		}
		file, err = demo.WithRouter(file, text)
		return map[string]string{demo.RouterFile: file}, err
	}
}

// accessLogs gives every virtual node an access log, and so every proxy
// another listener.
func (w *world) accessLogs() (map[string]string, error) {
	const before = "  serviceDiscovery:\n"
	files, err := demo.Repository()
	for name, text := range files {
		files[name] = strings.Replace(text, before, "  logging: {accessLog: {file: {path: /dev/null}}}\n"+before, 1)
	}
	return files, err
}

// push commits and pushes what was written, and returns the commit.
func (w *world) push(title string) string {
	w.t.Helper()
	commit, err := w.clone.Commit(w.t.Context(), title)
	must(w.t, err)
	must(w.t, w.clone.Push(w.t.Context()))
	return commit
}

// apply pushes a good commit and waits until all proxies that it touches have
// it.
func (w *world) apply(title string) {
	w.t.Helper()
	w.serving = w.push(title)
	pushed := time.Now()
	c, err := w.daemon.Await(w.t.Context(), w.serving, "applied", lab.Commit.Done)
	must(w.t, err)
	w.t.Logf("%s: %s, %v after the end of the push", title, c.Applied.Description, time.Since(pushed).Round(time.Millisecond))
}

// split measures the answers of real requests.
func (w *world) split(shares map[string]float64) {
	w.t.Helper()
	s := w.yelb.Page.Measure(w.t.Context(), 1000)
	w.t.Log(s)
	for version, share := range shares {
		if err := s.Check(version, share); err != nil {
			w.t.Error(err)
		}
	}
}

// status waits until the git host shows a status beside a commit.
func (w *world) status(commit, name, state, description string) {
	w.t.Helper()
	pattern := regexp.MustCompile(description)
	must(w.t, lab.Eventually(w.t.Context(), 30*time.Second, path.Base(name)+" of "+report.Short(commit), func() error {
		all, err := w.gitea.Statuses(w.t.Context(), repository, commit)
		if err != nil {
			return err
		}
		for _, s := range all { // newest first
			if s.Context == name {
				if s.State != state || !pattern.MatchString(s.Description) {
					return fmt.Errorf("%+v; it should be %s, %s", s, state, description)
				}
				return nil
			}
		}
		return fmt.Errorf("no %s among %+v", name, all)
	}))
}

// sent is how many responses the daemon has sent on the proxies' streams.
func (w *world) sent() (n int) {
	w.t.Helper()
	proxies, err := w.daemon.Proxies(w.t.Context())
	must(w.t, err)
	for _, p := range proxies {
		for _, s := range p.Types {
			n += s.Sent
		}
	}
	return n
}

// updates is how many updates the Envoys say they were sent.
func (w *world) updates() (sum int64) {
	w.t.Helper()
	for _, e := range w.yelb.Envoys {
		n, err := e.Updates(w.t.Context())
		must(w.t, err)
		sum += n
	}
	return sum
}

// TestE2EDemo tells the demo's story; it fails by itself.
func TestE2EDemo(t *testing.T) {
	envoy := realPart(t, "envoy")
	exe, err := exec.LookPath("meshwright")
	must(t, err)
	var out strings.Builder
	err = demo.Run(t.Context(), demo.Config{Out: &out, Meshwright: exe, Envoy: envoy, Requests: 500})
	t.Log("\n" + out.String())
	must(t, err)
	wants := []string{`applied +1/1 proxies touched`, `refused +specs/appmesh-yelb-appserver\.yaml:\d+:\d+: error: `, `0 failed`,
		`\n   5 % .*v3`, `\n   50 % .*v3`, `completed +\d`, `went back +success rate \d`, `hurt +\d+ of \d+ requests`, `All as it should be`}
	if _, err := lab.Tool("gitea"); err == nil {
		wants = append(wants, `check +meshwright/canary is green: passed`, `its merge\n   applied +\w+: 1/1 proxies`)
	}
	for _, want := range wants {
		if !regexp.MustCompile(want).MatchString(out.String()) {
			t.Errorf("the demo does not say %q", want)
		}
	}
}
