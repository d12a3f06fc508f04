package github_test

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/meshwright/meshwright/sources/github"
	"github.com/meshwright/meshwright/sources/github/githubtest"
)

const (
	token  = githubtest.Token
	commit = "4be1c0d5f2c9d1a3f0e6b7a8c9d0e1f2a3b4c5d6"
)

// host is a git host in this process, that knows one commit.
type host struct {
	*githubtest.Host
	t testing.TB
}

func newHost(t testing.TB) *host {
	h := githubtest.New("acme/mesh")
	h.Knows = func(sha string) bool { return sha == commit }
	return &host{h, t}
}

// client returns a client of the host, and its log.
func (h *host) client() (*github.Client, *bytes.Buffer) {
	h.t.Helper()
	var log bytes.Buffer
	return h.as(github.Config{Token: token, Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}), &log
}

// as returns a client with a configuration, completed by where the host is.
func (h *host) as(cfg github.Config) *github.Client {
	h.t.Helper()
	cfg.BaseURL, cfg.Owner, cfg.Repo, cfg.Transport = githubtest.URL, "acme", "mesh", h
	c, err := github.New(cfg)
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

var answer = githubtest.Answer
