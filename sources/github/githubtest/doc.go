// Package githubtest is a git host in the test's own process. It has the state
// of one repository and holds those who write to it to the limits of GitHub that
// no other stand-in enforces: the lengths of texts, the number of statuses and
// annotations, rate limits, who may do what. Only tests import it.
//
//	h := githubtest.New("acme/mesh")
//	n := h.Open(githubtest.Pull{Head: commit, Title: "more traffic to v2"})
//	c, err := github.New(github.Config{BaseURL: githubtest.URL, Owner: "acme", Repo: "mesh", Token: githubtest.Token, Transport: h})
//	…
//	h.Comments(n), h.Statuses(commit)
//
// A Host is a transport, so that it works in synctest bubbles; [Host.Serve] puts
// it behind a socket for those who need one. Front and Back make the troubles of
// networks and busy hosts: slow, lost and refused answers. A webhook that
// [Host.Hook] names is told of what happens.
//
// The one rule: it answers as GitHub is known to (documentation, OpenAPI, error
// texts that people report), never as our client would like it.
package githubtest
