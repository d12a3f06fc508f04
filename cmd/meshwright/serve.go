package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/meshwright/meshwright/sources"
)

// serveCmd is the daemon's settings: flags, or keys of the --config file.
// Secrets come from files or the environment only.
type serveCmd struct {
	Config kong.ConfigFlag `placeholder:"FILE" help:"YAML file whose keys are these flags; a flag wins over it."`

	Repo        string        `required:"" placeholder:"URL" help:"Repository of the specs: a path, https:// or ssh:// URL."`
	Branch      string        `default:"main" help:"Branch to watch."`
	Path        string        `placeholder:"DIR" help:"Folder of the specs in the repository (default: its root)."`
	Poll        string        `default:"30s" help:"How often to look: a duration (50ms, 1m) or a cron schedule (*/5 * * * *)."`
	Environment string        `help:"Name of this environment; it goes into the contexts of statuses, so that two daemons can watch one repository."`
	StateDir    string        `default:".meshwright" help:"Where the daemon keeps its clone and its progress."`
	GitTimeout  time.Duration `default:"60s" help:"Limit of one fetch."`
	GitWhole    bool          `help:"Fetch all of the repository, not only --path and the commits."`

	GitUsername  string `help:"User of the git host, beside the token (default: x-access-token)."`
	GitTokenFile string `type:"path" placeholder:"FILE" help:"Token for https (or $$MESHWRIGHT_GIT_TOKEN)."`
	SSHKey       string `name:"ssh-key" type:"path" placeholder:"FILE" help:"Private key for ssh."`
	KnownHosts   string `type:"path" placeholder:"FILE" help:"Known hosts for ssh (default: ~/.ssh/known_hosts)."`

	GithubAPIURL          string `name:"github-api-url" placeholder:"URL" help:"Base URL of the git host's API, taken as it is (default: https://api.github.com/, when --repo is on github.com)."`
	GithubRepo            string `placeholder:"OWNER/NAME" help:"Where statuses go (default: from --repo)."`
	GithubTokenFile       string `type:"path" placeholder:"FILE" help:"Token for the API (or $$MESHWRIGHT_GITHUB_TOKEN); without one nothing is written back."`
	GithubAppID           int64  `name:"github-app-id" placeholder:"ID" help:"GitHub App that writes back in the place of a token; its statuses are check runs."`
	GithubAppKey          string `name:"github-app-key-file" type:"path" placeholder:"FILE" help:"Private key of the App, PEM (or $$MESHWRIGHT_GITHUB_APP_KEY)."`
	GithubAppInstallation int64  `name:"github-app-installation" placeholder:"ID" help:"Its installation (default: the one that has the repository)."`
	GithubDeployments     bool   `help:"Write a deployment for each commit that is served, to the environment --environment, or that of the mesh's name."`
	WebhookSecret         string `name:"webhook-secret-file" type:"path" placeholder:"FILE" help:"Secret of /webhooks/github (or $$MESHWRIGHT_WEBHOOK_SECRET); without one webhooks are refused."`
	PublicURL             string `name:"public-url" placeholder:"URL" help:"Where people reach this daemon; statuses link to it."`

	HealthWindow time.Duration `default:"1m" help:"How long the traffic after a change is looked at, to compare it with before."`

	Prometheus string `name:"prometheus" placeholder:"URL" help:"Where Prometheus's API is, as http://127.0.0.1:9090, for rollouts with queries of their own; they need no Prometheus otherwise."`

	XdsAddress  string `default:"127.0.0.1:18000" help:"Where xDS is served (gRPC)."`
	XdsCert     string `type:"path" placeholder:"FILE" help:"Server certificate; needed off loopback."`
	XdsKey      string `type:"path" placeholder:"FILE" help:"Its private key."`
	XdsClientCA string `name:"xds-client-ca" type:"path" placeholder:"FILE" help:"Authorities of the proxies' certificates; each names its identity (SPIFFE ID or DNS name)."`
	XdsTokens   string `type:"path" placeholder:"FILE" help:"Lines of TOKEN IDENTITY: what proxies without a certificate show."`

	CloudmapEndpoint string        `name:"cloudmap-endpoint" placeholder:"URL" help:"Where AWS Cloud Map's API is, taken as it is (default: AWS's own of the region). It is asked for nodes with awsCloudMap only, with the credentials that AWS's SDK finds."`
	CloudmapRegion   string        `name:"cloudmap-region" help:"Region of the namespaces (default: $$AWS_REGION)."`
	CloudmapPoll     time.Duration `name:"cloudmap-poll" default:"5s" help:"How often to look for instances."`

	TracingEndpoint string  `placeholder:"HOST:PORT" help:"OpenTelemetry collector (OTLP over gRPC) that proxies send spans to; without one they trace nothing."`
	TracingSampling float64 `default:"5" placeholder:"PERCENT" help:"How many of the traces that proxies begin are kept."`

	Certificates certificates `placeholder:"FILE" help:"YAML file that says what stands for ARNs of AWS Certificate Manager and for SDS secrets."`

	HTTPAddress  string `name:"http-address" default:"127.0.0.1:8080" help:"Where the page, API, metrics and webhooks are served."`
	APITokenFile string `name:"api-token-file" type:"path" placeholder:"FILE" help:"Lines of TOKEN [NAME]: who may act on rollouts through the API (or $$MESHWRIGHT_API_TOKEN); without one nobody may."`
	DebugAddress string `placeholder:"IP:PORT" help:"Where profiles of the daemon itself are served (/debug/pprof/), on loopback only; without: nowhere."`
	LogLevel     string `enum:"debug,info,warn,error" default:"info" help:"${enum}."`
	LogFormat    string `enum:"text,json" default:"text" help:"${enum}."`
}

// Validate tells by the names of flags what the server of xDS would refuse by
// its own.
func (cmd serveCmd) Validate() error {
	switch host, _, err := net.SplitHostPort(cmd.XdsAddress); {
	case err != nil:
		return fmt.Errorf("--xds-address %s: write IP:PORT", cmd.XdsAddress)
	case (cmd.XdsCert == "") != (cmd.XdsKey == ""):
		return errors.New("--xds-cert and --xds-key: set both or none")
	case cmd.XdsClientCA != "" && cmd.XdsCert == "":
		return errors.New("--xds-client-ca: needs --xds-cert and --xds-key")
	case cmd.HealthWindow < 10*time.Second || cmd.HealthWindow > 9*time.Minute:
		return fmt.Errorf("--health-window %s: write 10s to 9m: proxies report each 5 s, and their reports are kept for 15 min", cmd.HealthWindow)
	case cmd.XdsClientCA == "" && cmd.XdsTokens == "" && host != "localhost" && !net.ParseIP(host).IsLoopback():
		return fmt.Errorf("--xds-address %s can be reached from other machines: set --xds-cert, --xds-key and --xds-client-ca (mutual TLS) or --xds-tokens, or listen on 127.0.0.1", cmd.XdsAddress)
	}
	if host, _, err := net.SplitHostPort(cmd.DebugAddress); cmd.DebugAddress != "" && (err != nil || !net.ParseIP(host).IsLoopback()) {
		return fmt.Errorf("--debug-address %s: write 127.0.0.1:PORT; profiles show what is in memory", cmd.DebugAddress)
	}
	return nil
}

func (cmd serveCmd) Run(ctx context.Context, c console) error {
	return serve(ctx, cmd, c.out, newLogger(c.err, cmd.LogLevel, cmd.LogFormat))
}

func newLogger(w io.Writer, level, format string) *slog.Logger {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		panic(err) // kong holds the flag to the enum
	}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: l}))
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: l}))
}

// secret returns what the file holds, else what the environment variable
// holds, without white space around it; empty where neither is set.
func secret(file, env string) (sources.Secret, error) {
	if file == "" {
		return sources.Secret(strings.TrimSpace(os.Getenv(env))), nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	s := strings.TrimSpace(string(b))
	if s == "" {
		return "", fmt.Errorf("%s is empty", file)
	}
	return sources.Secret(s), nil
}

// loopback reports whether an address is reached from this machine only.
func loopback(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// folder is the folder of the specs as people write it in the names of files;
// empty: the root.
func (cmd serveCmd) folder() string {
	return strings.TrimPrefix(path.Join("/", filepath.ToSlash(cmd.Path)), "/")
}

// stateFile is a file in the state directory.
func (cmd serveCmd) stateFile(name string) string { return filepath.Join(cmd.StateDir, name) }

// link makes the address of a commit's entry on the daemon's page; nil where
// people cannot reach it.
func (cmd serveCmd) link() func(commit string) string {
	if cmd.PublicURL == "" {
		return nil
	}
	return func(commit string) string { return strings.TrimSuffix(cmd.PublicURL, "/") + "/#" + commit }
}
