// Package demo tells Meshwright's story on one machine: a git repository of App
// Mesh's own Yelb manifests, the daemon, a real Envoy for each virtual node and
// stand-in applications under traffic; and then nothing but commits.
//
// It shows what it measures, and fails when something is not as it should be:
// the end-to-end tests ask more, but nothing else.
package demo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"time"

	"github.com/meshwright/meshwright/cmd/meshwright/internal/lab"
)

// Config of the demo.
type Config struct {
	Out        io.Writer
	Meshwright string // this program
	Envoy      string // a real Envoy; empty: [lab.Tool] finds one
	Gitea      string // a git host for pull requests; empty: [lab.Tool] finds one, or there are none
	Keep       bool   // stay up until ctx ends
	Requests   int    // to measure each split with
}

// Run tells the story. It leaves nothing behind.
func Run(ctx context.Context, c Config) error {
	if c.Envoy == "" {
		var err error
		if c.Envoy, err = lab.Tool("envoy"); err != nil {
			return err
		}
	} else if _, err := exec.LookPath(c.Envoy); err != nil {
		return fmt.Errorf("no Envoy to start: %w", err)
	}
	if c.Gitea == "" {
		c.Gitea, _ = lab.Tool("gitea") // without one there are no pull requests
	}
	l, err := lab.New(lab.Config{Meshwright: c.Meshwright, Envoy: c.Envoy})
	if err != nil {
		return err
	}
	defer l.Close()
	s := &story{Config: c, lab: l}
	err = s.tell(ctx)
	if ctx.Err() != nil {
		return errors.New("interrupted; everything is stopped")
	}
	if err != nil || !c.Keep {
		return err
	}
	s.say("\nIt stays up, with its traffic. Page: %s\nPush to %s (a clone: %s).\nCtrl-C ends everything.", s.daemon.HTTP, s.remote, s.clone.Dir)
	<-ctx.Done()
	return nil
}

// change are files of the repository as they are to be.
type change func() (map[string]string, error)

// story is the demo under way.
type story struct {
	Config
	lab     *lab.Lab
	gitea   *lab.Gitea // nil: the repository is a folder
	remote  string
	clone   *lab.Clone
	daemon  *lab.Daemon
	yelb    *lab.Yelb
	traffic *lab.Traffic
	serving string // the commit that proxies should have
	pull    int    // the pull request's number
}

func (s *story) say(format string, args ...any) { fmt.Fprintf(s.Out, format+"\n", args...) }

// chapter is a part of the story.
type chapter struct {
	title string
	do    func(context.Context) error
}

func (s *story) tell(ctx context.Context) error {
	steps := []chapter{
		{"App Mesh's own Yelb manifests in a git repository; all traffic on v1", s.begin},
		{"a commit: 50/50 (the walkthrough's router for v1 and v2)", func(ctx context.Context) error {
			return s.shift(ctx, "appserver: half of the traffic to v2", s.router(Half), map[string]float64{"v1": 0.5, "v2": 0.5})
		}},
		{"a commit: all to v2 (the walkthrough's router for v2)", func(ctx context.Context) error {
			return s.shift(ctx, "appserver: all traffic to v2", s.router(All), map[string]float64{"v2": 1})
		}},
		{"a bad commit: one request in ten back to v1, misspelt", func(ctx context.Context) error {
			return s.refuse(ctx, "appserver: a tenth back to v1", s.router(TenthMisspelt), map[string]float64{"v2": 1})
		}},
		{"its fix", func(ctx context.Context) error {
			return s.shift(ctx, "appserver: spell v1 right", s.router(Tenth), map[string]float64{"v1": 0.1, "v2": 0.9})
		}},
		{"a commit: a Rollout for the appserver; from now on changes of its routes go step by step", s.govern},
		{"a merge to promote a canary: v3, which was just deployed", s.canary},
		{"a merge of a version that answers 3 % of its requests with errors", s.rollBack},
		{"its revert", s.revert},
	}
	if s.Gitea != "" {
		steps = append(steps, chapter{"a pull request that is the canary while it is open", s.tryPull}, chapter{"its merge", s.mergePull})
	}
	for i, step := range steps {
		s.say("%d. %s", i+1, step.title)
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("demo: step %d: %w", i+1, err)
		}
		s.say("")
	}
	usage, err := s.daemon.Usage()
	if err != nil {
		return err
	}
	if s.Gitea == "" {
		s.say("There is no Gitea here, and so there were no pull requests; `make gitea` builds one.")
	}
	s.say("All as it should be. The daemon's memory: %d MB.", usage.Memory>>20)
	return nil
}

const (
	repository = "mesh"
	secret     = "of the webhook"
)

// host makes an empty repository to push to, on a Gitea where there is one, and
// says how a daemon is started on it.
func (s *story) host(ctx context.Context) (c lab.DaemonConfig, err error) {
	if s.Gitea == "" {
		s.remote, err = s.lab.BareRepo(ctx)
		return lab.DaemonConfig{Repo: s.remote, Args: []string{"--poll", "50ms"}}, err
	}
	if s.gitea, err = s.lab.StartGitea(ctx, s.Gitea); err != nil {
		return c, err
	}
	s.line("Gitea", s.gitea.URL)
	s.remote, err = s.gitea.NewRepo(ctx, repository)
	c = s.gitea.Daemon(repository, secret)
	c.Args = append(c.Args, "--poll", "1h") // it is woken by webhooks
	return c, err
}

// begin makes the repository, starts everything, and sends the first requests.
func (s *story) begin(ctx context.Context) (err error) {
	config, err := s.host(ctx)
	if err != nil {
		return err
	}
	if s.clone, err = s.lab.NewClone(ctx, s.remote); err != nil {
		return err
	}
	files, err := Repository()
	if err != nil {
		return err
	}
	if err := s.clone.Write(files); err != nil {
		return err
	}
	commit, err := s.clone.Commit(ctx, "yelb: App Mesh's manifests as they are")
	if err != nil {
		return err
	}
	if err := s.clone.Push(ctx); err != nil {
		return err
	}
	s.line("git push", short(commit))
	config.Args = append(config.Args, "--path", SpecDir)
	if s.daemon, err = s.lab.StartDaemon(ctx, config); err != nil {
		return err
	}
	if s.gitea != nil {
		if err := s.gitea.Hook(ctx, repository, s.daemon.HTTP+"/webhooks/github", secret); err != nil {
			return err
		}
	}
	s.line("daemon", fmt.Sprintf("xDS at %s, page at %s", s.daemon.XDS, s.daemon.HTTP))
	began := time.Now()
	if s.yelb, err = s.lab.StartYelb(ctx, s.daemon.XDS, "--report-interval", "500ms"); err != nil {
		return err
	}
	if err := s.yelb.Live(ctx); err != nil {
		return err
	}
	s.line("Envoys", fmt.Sprintf("%d, one for each virtual node, take traffic %s after their start", len(s.yelb.Envoys), millis(time.Since(began))))
	s.serving = commit
	if err := s.measure(ctx, map[string]float64{"v1": 1}); err != nil {
		return err
	}
	s.traffic = s.yelb.Page.Flow(context.WithoutCancel(ctx), 10*time.Millisecond)
	s.lab.OnClose(func() { s.traffic.Stop() })
	return nil
}

// shift pushes a good router and waits until the last Envoy has it.
func (s *story) shift(ctx context.Context, title string, files change, shares map[string]float64) error {
	commit, pushed, err := s.push(ctx, title, files)
	if err != nil {
		return err
	}
	c, err := s.daemon.Await(ctx, commit, "all proxies have "+short(commit), lab.Commit.Done)
	if err != nil {
		return err
	}
	took, p := time.Since(pushed), c.Applied.Progress
	s.serving = commit
	s.line("applied", fmt.Sprintf("%d/%d proxies touched, %s from the start of the push to the last ACK", p.Applied, p.Touched, millis(took)))
	if err := s.measure(ctx, shares); err != nil {
		return err
	}
	return s.meanwhile()
}

// refuse pushes a bad router and looks that it changes nothing.
func (s *story) refuse(ctx context.Context, title string, files change, shares map[string]float64) error {
	before, err := s.updates(ctx)
	if err != nil {
		return err
	}
	commit, _, err := s.push(ctx, title, files)
	if err != nil {
		return err
	}
	c, err := s.daemon.Await(ctx, commit, "the daemon has judged "+short(commit), func(c lab.Commit) bool { return c.Result != "" })
	if err != nil {
		return err
	}
	if c.Result != "bad" || c.Serving || len(c.Diagnostics) == 0 {
		return fmt.Errorf("a bad commit was not refused: %+v", c)
	}
	s.line("refused", c.Diagnostics[0].String())
	if err := s.measure(ctx, shares); err != nil {
		return err
	}
	after, err := s.updates(ctx)
	if err != nil {
		return err
	}
	still, err := s.daemon.Commit(ctx, s.serving)
	if err != nil {
		return err
	}
	if !still.Serving || after != before {
		return fmt.Errorf("a bad commit had an effect: %s serving: %t; %d updates of proxies", short(s.serving), still.Serving, after-before)
	}
	s.line("served", short(s.serving)+" as before; no Envoy was sent anything")
	return s.meanwhile()
}

// router is the change of the story's router to another: [Half], [All], …
func (s *story) router(router func() (string, error)) change {
	return func() (map[string]string, error) {
		text, err := router()
		if err != nil {
			return nil, err
		}
		file, err := s.clone.Read(RouterFile)
		if err != nil {
			return nil, err
		}
		file, err = WithRouter(file, text)
		return map[string]string{RouterFile: file}, err
	}
}

// push commits a change and pushes it; it returns when the push began.
func (s *story) push(ctx context.Context, title string, change change) (commit string, began time.Time, err error) {
	files, err := change()
	if err != nil {
		return "", began, err
	}
	if err := s.clone.Write(files); err != nil {
		return "", began, err
	}
	if commit, err = s.clone.Commit(ctx, title); err != nil {
		return "", began, err
	}
	began = time.Now()
	if err := s.clone.Push(ctx); err != nil {
		return "", began, err
	}
	s.line("git push", short(commit)+" "+title)
	return commit, began, nil
}

// measure sends requests through the mesh and holds the answers to the shares.
func (s *story) measure(ctx context.Context, shares map[string]float64) error {
	split := s.yelb.Page.Measure(ctx, cmp.Or(s.Requests, 2000))
	if err := ctx.Err(); err != nil {
		return err
	}
	s.line("measured", split.String())
	for version, share := range shares {
		if err := split.Check(version, share); err != nil {
			return err
		}
	}
	return nil
}

// meanwhile tells of the traffic that went on during the step.
func (s *story) meanwhile() error {
	flow := s.traffic.Take()
	s.line("meanwhile", fmt.Sprintf("%d requests of steady traffic, %d failed", flow.Requests, flow.Failed))
	if flow.Failed > 0 {
		return fmt.Errorf("a request failed during the change: %s", flow.FirstFailure)
	}
	return nil
}

// updates is how many updates all Envoys were sent so far.
func (s *story) updates(ctx context.Context) (sum int64, err error) {
	for _, e := range s.yelb.Envoys {
		n, err := e.Updates(ctx)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

func (s *story) line(what, text string) { s.say("   %-10s %s", what, text) }

func short(commit string) string { return commit[:min(len(commit), 7)] }

func millis(d time.Duration) string { return fmt.Sprintf("%d ms", d.Milliseconds()) }
