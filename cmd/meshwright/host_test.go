package main

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/meshwright/meshwright/sources/github/githubtest"
)

// TestOpenHost: a token or an App, and what is missing is told by its flag.
func TestOpenHost(t *testing.T) {
	write := func(name string, text []byte) string {
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	token := write("token", []byte("ghp_hunter2\n"))
	key := write("key.pem", githubtest.New("acme/mesh").Install(githubtest.App{ID: 1}))
	for name, test := range map[string]struct {
		flags []string
		want  string // of the error; "": a client
	}{
		"a token":      {[]string{"--github-token-file", token}, ""},
		"an App":       {[]string{"--github-app-id", "1", "--github-app-key-file", key, "--github-app-installation", "7"}, ""},
		"both":         {[]string{"--github-token-file", token, "--github-app-id", "1", "--github-app-key-file", key}, "a token and an App"},
		"no key":       {[]string{"--github-app-id", "1"}, "--github-app-key-file"},
		"no id":        {[]string{"--github-app-key-file", key}, "--github-app-id is missing"},
		"no App":       {[]string{"--github-app-installation", "7"}, "--github-app-id is missing"},
		"a broken key": {[]string{"--github-app-id", "1", "--github-app-key-file", token}, "private key"},
		"no such file": {[]string{"--github-app-id", "1", "--github-app-key-file", "missing.pem"}, "--github-app-key-file"},
		"a path":       {[]string{"--github-token-file", token, "--github-repo", "acme"}, "write OWNER/NAME"},
		"a mirror":     {[]string{"--github-token-file", token, "--repo", "https://git.example.com/acme/mesh.git"}, "--github-api-url is missing"},
		"with its API": {[]string{"--github-token-file", token, "--repo", "https://git.example.com/acme/mesh.git", "--github-api-url", "https://git.example.com/api/v1/"}, ""},
	} {
		cmd := parseServe(t, append([]string{"--repo", "https://github.com/acme/mesh.git"}, test.flags...)...)
		host, err := openHost(cmd, prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
		if test.want == "" && (err != nil || host == nil) || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v, %v; want %q", name, host != nil, err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the secret is in the error: %v", name, err)
		}
		if _, usage := errors.AsType[usageError](err); (strings.Contains(test.want, "--github-app-id") || strings.Contains(test.want, "missing")) && !usage {
			t.Errorf("%s: no error of usage", name)
		}
	}
	if host, err := openHost(parseServe(t, "--repo", "/srv/mesh"), prometheus.NewRegistry(), slog.New(slog.DiscardHandler)); host != nil || err != nil {
		t.Errorf("neither: %v, %v; want nothing", host, err)
	}
}
