package main

import (
	"context"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/meshwright/meshwright/cmd/meshwright/internal/lab"
	"github.com/meshwright/meshwright/sources/github/githubtest"
)

// callerMesh is a node that calls a service of two versions, a Rollout over it.
const callerMesh = `
{apiVersion: appmesh.k8s.aws/v1beta2, kind: Mesh, metadata: {name: large}, spec: {namespaceSelector: {}}}
---
{apiVersion: appmesh.k8s.aws/v1beta2, kind: VirtualNode, metadata: {name: client-0, namespace: shop}, spec: {
  backends: [{virtualService: {virtualServiceRef: {name: api}}}]}}
---
{apiVersion: appmesh.k8s.aws/v1beta2, kind: VirtualNode, metadata: {name: v1, namespace: shop}, spec: {
  listeners: [{portMapping: {port: 80, protocol: http}}], serviceDiscovery: {dns: {hostname: v1.shop}}}}
---
{apiVersion: appmesh.k8s.aws/v1beta2, kind: VirtualNode, metadata: {name: v2, namespace: shop}, spec: {
  listeners: [{portMapping: {port: 80, protocol: http}}], serviceDiscovery: {dns: {hostname: v2.shop}}}}
---
{apiVersion: appmesh.k8s.aws/v1beta2, kind: VirtualService, metadata: {name: api, namespace: shop}, spec: {
  awsName: api.shop, provider: {virtualRouter: {virtualRouterRef: {name: api}}}}}
---
{apiVersion: meshwright.dev/v1alpha1, kind: Rollout, metadata: {name: api, namespace: shop}, spec: {
  targets: [{kind: VirtualRouter, name: api}], steps: [{weight: 5, hold: 1h}], analysis: {successRate: {min: 99}}}}
---
{apiVersion: appmesh.k8s.aws/v1beta2, kind: VirtualRouter, metadata: {name: api, namespace: shop}, spec: {listeners: [{portMapping: {port: 80, protocol: http}}], routes: [
  {name: all, httpRoute: {match: {prefix: /}, action: {weightedTargets: [{virtualNodeRef: {name: v1}, weight: 1}]}}}]}}
`

// gitHost serves a bare repository over HTTP, until it is told to do something
// else.
func gitHost(t *testing.T, bare string) (url string, instead *atomic.Pointer[http.HandlerFunc]) {
	t.Helper()
	path, err := exec.Command("git", "--exec-path").Output()
	must(t, err)
	backend := &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(path)), "git-http-backend"),
		Env:  []string{"GIT_PROJECT_ROOT=" + filepath.Dir(bare), "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_GLOBAL=" + os.DevNull},
	}
	instead = new(atomic.Pointer[http.HandlerFunc])
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h := instead.Load(); h != nil {
			(*h)(w, r)
			return
		}
		backend.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL + "/" + filepath.Base(bare), instead
}

// TestStartWithoutTheHost: a daemon that was killed in the middle of a canary
// serves what it served, however the git host and its API treat it.
func TestStartWithoutTheHost(t *testing.T) {
	l, err := lab.New(lab.Config{Meshwright: program(t)})
	must(t, err)
	t.Cleanup(l.Close)
	bare, err := l.BareRepo(t.Context())
	must(t, err)
	for _, key := range []string{"uploadpack.allowFilter", "uploadpack.allowReachableSHA1InWant"} {
		must(t, exec.Command("git", "-C", bare, "config", key, "true").Run())
	}
	clone, err := l.NewClone(t.Context(), bare)
	must(t, err)
	push := func(mesh string) string {
		t.Helper()
		must(t, clone.Write(map[string]string{"mesh/mesh.yaml": mesh, "README.md": "a mesh\n"}))
		commit, err := clone.Commit(t.Context(), "a mesh")
		must(t, err)
		must(t, clone.Push(t.Context()))
		return commit
	}
	push(callerMesh)
	url, instead := gitHost(t, bare)
	token := filepath.Join(t.TempDir(), "token")
	must(t, os.WriteFile(token, []byte("ghp_hunter2"), 0o600))
	api := githubtest.New("acme/mesh").Serve(t)
	start := func() (*lab.Daemon, time.Duration) {
		t.Helper()
		begin := time.Now()
		d, err := l.StartDaemon(t.Context(), lab.DaemonConfig{Repo: url, Args: []string{
			"--path", "mesh", "--poll", "50ms", "--github-token-file", token, "--github-repo", "acme/mesh", "--github-api-url", api}})
		must(t, err)
		return d, time.Since(begin)
	}
	// routes waits until a proxy has ACKed routes, and returns of which commit they
	// are, with a + if of a blend of it.
	routes := func(d *lab.Daemon) string {
		t.Helper()
		ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
		defer stop()
		acked := make(chan string, 10)
		done := make(chan error, 1)
		go func() { done <- client(ctx, d.XDS, "client-0", acked) }()
		defer func() { stop(); must(t, <-done) }()
		select {
		case label := <-acked:
			commit, _, blend := strings.Cut(label, "+")
			if blend {
				commit += "+"
			}
			return commit
		case <-ctx.Done():
			t.Fatal("no routes")
			return ""
		}
	}

	d, _ := start()
	routes(d)
	target := push(strings.ReplaceAll(callerMesh, "{virtualNodeRef: {name: v1}", "{virtualNodeRef: {name: v2}"))
	at5 := func(r lab.Rollout) bool { return r.Weight == 5 && !r.Ended }
	_, err = d.AwaitRollout(t.Context(), target, "at 5 %", at5)
	must(t, err)
	was := target + "+"
	if now := routes(d); now != was {
		t.Fatalf("it serves %s; want %s", now, was)
	}
	d.Kill()

	api = "http://127.0.0.1:9/" // nobody is there
	for _, host := range []struct {
		name string
		does http.HandlerFunc
	}{
		{"accepts and never answers", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }},
		{"knows the daemon no longer", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }},
		{"hangs up", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
	} {
		t.Run(host.name, func(t *testing.T) {
			instead.Store(&host.does)
			d, took := start()
			if now := routes(d); now != was {
				t.Errorf("it serves %s; want %s", now, was)
			}
			t.Logf("ready after %v", took)
			r, err := d.Rollout(t.Context(), target)
			must(t, err)
			if !at5(r) {
				t.Errorf("the rollout is %+v", r)
			}
			d.Kill()
		})
	}
	instead.Store(nil)
	d, _ = start()
	if now := routes(d); now != was {
		t.Errorf("the host is back: it serves %s; want %s", now, was)
	}
	d.Stop()
}
