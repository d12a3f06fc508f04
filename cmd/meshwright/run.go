package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"github.com/meshwright/meshwright/cmd/meshwright/internal/web"
	"github.com/meshwright/meshwright/reconciler"
	"github.com/meshwright/meshwright/reconciler/store"
	"github.com/meshwright/meshwright/sources"
	"github.com/meshwright/meshwright/sources/endpoints"
	"github.com/meshwright/meshwright/sources/git"
	"github.com/meshwright/meshwright/sources/github"
	"github.com/meshwright/meshwright/xds/ads"
	"github.com/meshwright/meshwright/xds/certs"
	"github.com/meshwright/meshwright/xds/translate"
)

// serve is the daemon: it makes every part, ties them together and runs them
// until ctx ends or one fails. The first to return stops the others.
func serve(ctx context.Context, cmd serveCmd, out io.Writer, log *slog.Logger) error {
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))

	// What wakes and is written to; mistakes in the settings end here, before
	// anything is opened.
	wake, err := sources.NewWake(cmd.Poll)
	if err != nil {
		return usageError{fmt.Errorf("--poll: %w", err)}
	}
	tracing := translate.Tracing{Endpoint: cmd.TracingEndpoint, Percent: cmd.TracingSampling}
	if err := tracing.Validate(); err != nil {
		return usageError{err}
	}
	tokens, err := openTokens(cmd)
	if err != nil {
		return err
	}
	host, err := openHost(cmd, metrics, log)
	if err != nil {
		return err
	}
	var forge reconciler.Forge
	var files func(commit string) string // prefix of the pages of its files
	if host != nil {
		forge, files = host, host.Files
	}

	// Where progress and the clone are: the state's lock says that both are ours.
	state, err := store.Open(cmd.stateFile("state.db"))
	if err != nil {
		return err
	}
	defer state.Close()
	repo, err := openRepo(cmd, host, log)
	if err != nil {
		return err
	}

	// Where specs go: the proxies.
	xdsListener, err := net.Listen("tcp", cmd.XdsAddress)
	if err != nil {
		return fmt.Errorf("--xds-address: %w", err)
	}
	defer xdsListener.Close()
	proxies, err := ads.New(ads.Config{
		Listener: xdsListener, CertFile: cmd.XdsCert, KeyFile: cmd.XdsKey, ClientCAFile: cmd.XdsClientCA, TokenFile: cmd.XdsTokens,
		Logger: log, Metrics: metrics,
	})
	if err != nil {
		return err
	}

	// What is served beside the spec, and moves without a commit: endpoints and
	// certificates.
	moved := make(chan struct{}, 1)
	instances, err := endpoints.New(endpoints.Config{
		Registry: &endpoints.CloudMap{Endpoint: cmd.CloudmapEndpoint, Region: cmd.CloudmapRegion}, Interval: cmd.CloudmapPoll,
		File: cmd.stateFile("endpoints.json"), Moved: func() { ring(moved) }, Logger: log, Metrics: metrics,
	})
	if err != nil {
		return err
	}
	keeper, err := certs.Open(certs.Config{
		Settings: cmd.Certificates.Settings, Dir: cmd.stateFile("authorities"), Moved: func() { ring(moved) }, Logger: log, Metrics: metrics,
	})
	if err != nil {
		return fmt.Errorf("--certificates: %w", err)
	}
	facts, mapping := facts{instances, keeper, tracing}, cmd.Certificates.Mapping()
	kept := newValidated(cmd.stateFile("validated"), log)

	// What decides: the reconciler's loop.
	r, err := reconciler.New(reconciler.Config{
		Branch: repo, Load: facts.awaited(newKeptLoad(mapping, kept)), LoadPull: newLoad(mapping), Translate: facts.desired, Moved: moved,
		Proxies: proxies, Traffic: reported(proxies), Meter: metered(proxies), Query: prometheusQuery(cmd.Prometheus), Plan: planned, Explain: explained, Forge: forge, Store: state, Wake: wake.C(),
		Path: cmd.folder(), BaseBranch: cmd.Branch, Environment: cmd.Environment, Deployments: cmd.GithubDeployments, HealthWindow: cmd.HealthWindow,
		PullSpacing: min(max(wake.Interval(), time.Second), 10*time.Second),
		Link:        cmd.link(), Files: files, Version: version(), Logger: log, Metrics: metrics,
	})
	if err != nil {
		return err
	}
	hook, err := openWebhook(cmd, func(e github.Event) {
		log.Debug("webhook received", "type", strings.TrimSpace(e.Name+" "+e.Action), "commit", e.Commit)
		if e.Commit != "" {
			r.Again(e.Commit)
		}
		r.Poke()
	}, log)
	if err != nil {
		return err
	}

	// What people and machines see of it.
	httpListener, err := net.Listen("tcp", cmd.HTTPAddress)
	if err != nil {
		return fmt.Errorf("--http-address: %w", err)
	}
	defer httpListener.Close()
	pages := &http.Server{Handler: web.Handler(r, web.Config{Metrics: metrics, Hook: hook, Tokens: tokens, Logger: log}), ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	if !loopback(httpListener.Addr()) {
		log.Warn("http is served beyond this machine, without a password", "address", httpListener.Addr().String())
	}

	debugListener, debug, err := openDebug(cmd.DebugAddress)
	if err != nil {
		return err
	}

	group, ctx := errgroup.WithContext(ctx)
	if debug != nil {
		defer debugListener.Close()
		group.Go(func() error { return serveHTTP(ctx, debug, debugListener) })
	}
	group.Go(func() error { return proxies.Run(ctx) })
	group.Go(func() error { return wake.Run(ctx) })
	group.Go(func() error { return instances.Run(ctx) })
	group.Go(func() error { return keeper.Run(ctx) })
	group.Go(func() error { return kept.Run(ctx) })
	group.Go(func() error { return r.Run(ctx) })
	group.Go(func() error { return serveHTTP(ctx, pages, httpListener) })
	group.Go(func() error { return announce(ctx, r, out, xdsListener.Addr(), httpListener.Addr()) })
	if err := group.Wait(); err != nil {
		return err
	}
	log.Info("stopped")
	return nil
}

// openRepo opens the clone. Without a token of its own, it reads what the GitHub
// App may read with the App's.
func openRepo(cmd serveCmd, host *github.Client, log *slog.Logger) (*git.Repo, error) {
	token, err := secret(cmd.GitTokenFile, "MESHWRIGHT_GIT_TOKEN")
	if err != nil {
		return nil, fmt.Errorf("--git-token-file: %w", err)
	}
	auth := git.Auth{Username: cmd.GitUsername, Token: token, SSHKeyFile: cmd.SSHKey, KnownHostsFile: cmd.KnownHosts}
	if host != nil {
		auth.TokenFunc = host.GitToken(cmd.Repo)
	}
	return git.Open(git.Config{URL: cmd.Repo, Branch: cmd.Branch, Path: cmd.Path, Dir: cmd.stateFile("git"), Timeout: cmd.GitTimeout, Whole: cmd.GitWhole, Logger: log, Auth: auth})
}

// openHost returns the client of the git host's API, which writes back; nil
// without a token or an App.
func openHost(cmd serveCmd, metrics prometheus.Registerer, log *slog.Logger) (*github.Client, error) {
	token, err := secret(cmd.GithubTokenFile, "MESHWRIGHT_GITHUB_TOKEN")
	if err != nil {
		return nil, fmt.Errorf("--github-token-file: %w", err)
	}
	key, err := secret(cmd.GithubAppKey, "MESHWRIGHT_GITHUB_APP_KEY")
	switch {
	case err != nil:
		return nil, fmt.Errorf("--github-app-key-file: %w", err)
	case cmd.GithubAppID == 0 && (cmd.GithubAppKey != "" || cmd.GithubAppInstallation != 0):
		return nil, usageError{errors.New("--github-app-id is missing: whose are the key and the installation?")}
	case cmd.GithubAppID != 0 && key == "":
		return nil, usageError{errors.New("--github-app-id: needs --github-app-key-file or $MESHWRIGHT_GITHUB_APP_KEY")}
	case token == "" && cmd.GithubAppID == 0:
		log.Info("no token for the git host's API: nothing is written back")
		return nil, nil
	}
	owner, name, ok := strings.Cut(cmd.GithubRepo, "/")
	if cmd.GithubRepo == "" {
		owner, name, ok = github.ParseRepo(cmd.Repo)
	}
	if !ok {
		return nil, usageError{fmt.Errorf("--github-repo %q: write OWNER/NAME", cmd.GithubRepo)}
	}
	if cmd.GithubAPIURL == "" && !github.Hosts(cmd.Repo) {
		return nil, usageError{errors.New("--github-api-url is missing: --repo is not on github.com, and another host's token is not for its API; write https://HOST/api/v3/ of an Enterprise Server, https://HOST/api/v1/ of Gitea")}
	}
	return github.New(github.Config{
		BaseURL: cmd.GithubAPIURL, Owner: owner, Repo: name, Token: token, Logger: log, Metrics: metrics,
		App: github.App{ID: cmd.GithubAppID, Installation: cmd.GithubAppInstallation, Key: key},
	})
}

// openTokens reads who may write through the API.
func openTokens(cmd serveCmd) (web.Tokens, error) {
	text, err := secret(cmd.APITokenFile, "MESHWRIGHT_API_TOKEN")
	if err != nil {
		return nil, fmt.Errorf("--api-token-file: %w", err)
	}
	tokens, err := web.ParseTokens(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", cmp.Or(cmd.APITokenFile, "$MESHWRIGHT_API_TOKEN"), err)
	}
	return tokens, nil
}

// openWebhook returns the handler of /webhooks/github; nil without a secret.
func openWebhook(cmd serveCmd, wake func(github.Event), log *slog.Logger) (http.Handler, error) {
	key, err := secret(cmd.WebhookSecret, "MESHWRIGHT_WEBHOOK_SECRET")
	if err != nil {
		return nil, fmt.Errorf("--webhook-secret-file: %w", err)
	}
	if key == "" {
		return nil, nil
	}
	return github.Webhook([]byte(key), wake, log)
}

// serveHTTP serves until ctx ends, then lets requests under way finish.
func serveHTTP(ctx context.Context, s *http.Server, l net.Listener) error {
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		stopped <- s.Shutdown(grace)
	}()
	if err := s.Serve(l); err != http.ErrServerClosed {
		return err
	}
	return <-stopped
}

// announce prints the one line that says the daemon is ready: the proxies can
// reach it and a good spec is served.
func announce(ctx context.Context, r *reconciler.Reconciler, out io.Writer, xdsAddr, httpAddr net.Addr) error {
	select {
	case <-ctx.Done():
		return nil
	case <-r.Ready():
	}
	_, err := fmt.Fprintf(out, "ready: xds %s http http://%s commit %s\n", xdsAddr, httpAddr, r.View().Serves)
	return err
}
