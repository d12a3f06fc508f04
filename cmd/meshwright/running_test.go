package main

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/meshwright/meshwright/sources/github/githubtest"
)

// shopMesh is a mesh with a node, its router and a Rollout.
const shopMesh = `
{apiVersion: appmesh.k8s.aws/v1beta2, kind: Mesh, metadata: {name: shop}, spec: {namespaceSelector: {}}}
---
{apiVersion: appmesh.k8s.aws/v1beta2, kind: VirtualNode, metadata: {name: web, namespace: shop}, spec: {
  listeners: [{portMapping: {port: 80, protocol: http}}], serviceDiscovery: {dns: {hostname: web.shop}}}}
---
{apiVersion: appmesh.k8s.aws/v1beta2, kind: VirtualRouter, metadata: {name: web, namespace: shop}, spec: {listeners: [{portMapping: {port: 80, protocol: http}}], routes: [
  {name: all, httpRoute: {match: {prefix: /}, action: {weightedTargets: [{virtualNodeRef: {name: web}, weight: 1}]}}}]}}
---
{apiVersion: meshwright.dev/v1alpha1, kind: Rollout, metadata: {name: web, namespace: shop}, spec: {
  targets: [{kind: VirtualRouter, name: web}], steps: [{weight: 5, hold: 1m}], analysis: {successRate: {min: 99}}}}
`

// daemon runs serve on a repository with one mesh until the test ends, and
// returns the address of its HTTP side.
func daemon(t *testing.T, flags ...string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "mesh.yaml"), []byte(shopMesh), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"init", "-q", "-b", "main"}, {"add", "."}, {"-c", "user.name=Ada", "-c", "user.email=ada@example.com", "commit", "-q", "-m", "shop opens"}} {
		if out, err := exec.Command("git", append([]string{"-C", dir}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("git %s: %v\n%s", args, err, out)
		}
	}
	cmd := parseServe(t, append([]string{"--repo", dir, "--state-dir", t.TempDir(), "--xds-address", "127.0.0.1:0", "--http-address", "127.0.0.1:0"}, flags...)...)
	ctx, stop := context.WithCancel(context.Background())
	out, line := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- serve(ctx, cmd, line, slog.New(slog.DiscardHandler))
		line.Close()
	}()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	said := make([]byte, 200)
	n, _ := out.Read(said)
	m := readyLine.FindSubmatch(said[:n])
	if m == nil {
		t.Fatalf("serve said %q", said[:n])
	}
	return string(m[2])
}

// parseServe makes the settings that flags give.
func parseServe(t *testing.T, flags ...string) serveCmd {
	t.Helper()
	var cli commands
	parser, err := kong.New(&cli, kong.Configuration(loadConfig))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(append([]string{"serve"}, flags...)); err != nil {
		t.Fatal(err)
	}
	return cli.Serve
}

func read(t *testing.T, name ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(append([]string{"..", ".."}, name...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestMetrics: what a daemon shows is well named, and the docs, the alerts and
// the dashboard speak of metrics that exist; the docs of all.
func TestMetrics(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token") // with a git host, there are its metrics
	if err := os.WriteFile(token, []byte("ghp_hunter2"), 0o600); err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get(daemon(t, "--github-token-file", token, "--github-repo", "acme/mesh", "--github-api-url", githubtest.New("acme/mesh").Serve(t)) + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.New(strings.NewReader(string(body))).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
	exist := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (\S+) (\S+)$`).FindAllStringSubmatch(string(body), -1) {
		exist[m[1]] = true
		if m[2] == "histogram" {
			exist[m[1]+"_bucket"], exist[m[1]+"_sum"], exist[m[1]+"_count"] = true, true, true
		}
	}
	series := regexp.MustCompile(`\b(?:meshwright|process)_[a-z_]+_[a-z]+\b`)
	docs := read(t, "docs", "running.md")
	alerts, dashboard := read(t, "deploy", "prometheus", "alerts.yaml"), read(t, "deploy", "grafana", "meshwright.json")
	for where, text := range map[string]string{"docs/running.md": docs, "alerts.yaml": alerts, "meshwright.json": dashboard} {
		names := series.FindAllString(text, -1)
		if len(names) == 0 {
			t.Errorf("%s names no metric", where)
		}
		for _, name := range names {
			if !exist[name] {
				t.Errorf("%s speaks of %s, which no daemon has", where, name)
			}
		}
	}
	documented := series.FindAllString(docs, -1)
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (meshwright_\S+)`).FindAllStringSubmatch(string(body), -1) {
		if !slices.Contains(documented, m[1]) {
			t.Errorf("docs/running.md does not speak of %s", m[1])
		}
	}
	if !json.Valid([]byte(dashboard)) {
		t.Error("the dashboard is no JSON")
	}
}

// TestRunningDocs: docs/running.md has every flag of serve with its default, and
// no other.
func TestRunningDocs(t *testing.T) {
	docs := read(t, "docs", "running.md")
	rows := map[string]string{} // flag → default
	for _, m := range regexp.MustCompile("(?m)^\\| (`--[^|]+`) \\| ([^|]*?) ?\\|").FindAllStringSubmatch(docs, -1) {
		for flag := range strings.SplitSeq(m[1], ", ") {
			rows[strings.Trim(flag, "`-")] = strings.Trim(m[2], "` ")
		}
	}
	parser, err := kong.New(&commands{})
	if err != nil {
		t.Fatal(err)
	}
	for _, cmd := range parser.Model.Leaves(false) {
		if cmd.Name != "serve" {
			continue
		}
		for _, f := range cmd.Flags {
			said, ok := rows[f.Name]
			if !ok {
				t.Errorf("docs/running.md has no row for --%s", f.Name)
			}
			if f.HasDefault && said != f.Default {
				t.Errorf("docs/running.md: the default of --%s is %q, not %q", f.Name, f.Default, said)
			}
			delete(rows, f.Name)
		}
	}
	if left := slices.Sorted(maps.Keys(rows)); len(left) > 0 {
		t.Errorf("docs/running.md has rows for what is no flag: %s", left)
	}
}
