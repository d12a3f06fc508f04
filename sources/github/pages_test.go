package github_test

import (
	"testing"

	"github.com/meshwright/meshwright/sources/github"
)

func TestFiles(t *testing.T) {
	for base, want := range map[string]string{
		"":                                  "https://github.com/acme/mesh/blob/c0ffee/",
		"https://api.github.com/":           "https://github.com/acme/mesh/blob/c0ffee/",
		"https://git.example.com/api/v3/":   "https://git.example.com/acme/mesh/blob/c0ffee/",
		"http://127.0.0.1:3000/api/v1/":     "http://127.0.0.1:3000/acme/mesh/src/commit/c0ffee/",
		"https://example.com/gitea/api/v1/": "https://example.com/gitea/acme/mesh/src/commit/c0ffee/",
	} {
		c, err := github.New(github.Config{BaseURL: base, Owner: "acme", Repo: "mesh", Token: "x"})
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Files("c0ffee"); got != want {
			t.Errorf("%s: %s, want %s", base, got, want)
		}
	}
}
