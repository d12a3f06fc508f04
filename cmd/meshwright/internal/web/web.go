package web

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/meshwright/meshwright/reconciler"
	"github.com/meshwright/meshwright/reconciler/canary"
)

// Daemon is what is shown, and spoken to.
type Daemon interface {
	View() *reconciler.View
	// Say is [reconciler.Reconciler.Say].
	Say(rollout string, verb canary.Verb, by string) error
}

// Config of the HTTP side.
type Config struct {
	Metrics prometheus.Gatherer
	Hook    http.Handler // of webhooks; nil refuses them
	Tokens  Tokens       // of who may write; without any nobody may
	Logger  *slog.Logger
}

// Handler serves everything under /.
func Handler(viewer Daemon, c Config) http.Handler {
	hook := c.Hook
	if hook == nil {
		hook = http.HandlerFunc(noWebhook)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { writePage(w, viewer.View(), time.Now()) })
	mux.HandleFunc("GET /api/v1/proxies", list(func(name string) any {
		return named(viewer.View().Proxies, name, func(p reconciler.ProxyView) string { return p.ID + " " + p.Identity.String() })
	}))
	mux.HandleFunc("GET /api/v1/commits", list(func(name string) any {
		return named(viewer.View().Commits, name, func(c reconciler.CommitView) string { return c.Commit + " " + c.Title })
	}))
	mux.HandleFunc("GET /api/v1/pulls", list(func(name string) any {
		return named(viewer.View().Pulls, name, func(p reconciler.PullView) string { return fmt.Sprint(p.Number, " ", p.Head, " ", p.Title) })
	}))
	mux.HandleFunc("GET /api/v1/rollouts", list(func(name string) any {
		return named(viewer.View().Rollouts, name, func(r reconciler.RolloutView) string { return r.Name + " " + r.Target })
	}))
	mux.HandleFunc("POST /api/v1/rollouts/{name}/{verb}", say(viewer, c.Tokens, c.Logger))
	mux.HandleFunc("POST /api/v1/rollouts/{namespace}/{name}/{verb}", say(viewer, c.Tokens, c.Logger))
	mux.HandleFunc("GET /api/v1/resources", list(func(name string) any {
		return named(viewer.View().Resources, name, func(r reconciler.ResourceView) string { return r.Ref.String() + " " + r.AWSName })
	}))
	mux.HandleFunc("GET /api/v1/source", list(func(string) any { return viewer.View().Source }))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { ready(w, viewer.View()) })
	mux.Handle("GET /metrics", promhttp.HandlerFor(c.Metrics, promhttp.HandlerOpts{}))
	mux.Handle("/webhooks/github", hook)
	return mux
}

// list answers with a JSON list, filtered by the query's name.
func list(get func(name string) any) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		e.Encode(get(r.URL.Query().Get("name"))) // an error here is a client that left
	}
}

// named keeps what holds the name; never nil, so that JSON has a list.
func named[T any](all []T, name string, text func(T) string) []T {
	out := make([]T, 0, len(all))
	for _, v := range all {
		if strings.Contains(text(v), name) {
			out = append(out, v)
		}
	}
	return out
}

func ready(w http.ResponseWriter, v *reconciler.View) {
	if v.Ready {
		fmt.Fprintf(w, "serving %s\n", v.Serving)
		return
	}
	why := "no good spec yet"
	for _, c := range v.Commits {
		if errs := c.Diagnostics.Errors(); c.Commit == v.Head && len(errs) > 0 {
			why += fmt.Sprintf("; %.7s was refused: %s", c.Commit, errs[0])
		}
	}
	if v.Source.Error != "" {
		why += "; " + v.Source.Error
	}
	http.Error(w, why, http.StatusServiceUnavailable)
}

func noWebhook(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "webhooks are off: the daemon has no webhook secret", http.StatusForbidden)
}
