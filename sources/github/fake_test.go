package github_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/meshwright/meshwright/sources/github"
)

const (
	token  = "ghp_hunter2"
	commit = "4be1c0d5f2c9d1a3f0e6b7a8c9d0e1f2a3b4c5d6"
)

// host is a git host in this process: it has the state and the limits of one.
// It is the client's transport, so that it works in synctest bubbles.
type host struct {
	t testing.TB
	// front, unless nil, sees each request first; a nil answer lets it through.
	front func(r *http.Request) (*http.Response, error)
	// back, unless nil, sees what the host has answered: it may lose it.
	back func(r *http.Request, resp *http.Response) (*http.Response, error)

	account  string // of the token; "" for an App's, which may not ask
	perPage  int
	mu       sync.Mutex // guards:
	statuses []map[string]any
	pulls    []map[string]any
	requests []string
}

func newHost(t testing.TB) *host { return &host{t: t, account: "mesh-bot", perPage: 100} }

// client returns a client of the host, and its log.
func (h *host) client() (*github.Client, *bytes.Buffer) {
	h.t.Helper()
	var log bytes.Buffer
	c, err := github.New(github.Config{
		BaseURL: "https://git.example.com/api/v3", Owner: "acme", Repo: "mesh", Token: token, Transport: h,
		Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return c, &log
}

// answer makes an answer of a status, headers ("Name: value") and a body.
func answer(status int, body string, headers ...string) *http.Response {
	w := httptest.NewRecorder()
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		w.Header().Set(name, value)
	}
	w.WriteHeader(status)
	io.WriteString(w, body)
	return w.Result()
}

func (h *host) RoundTrip(r *http.Request) (*http.Response, error) {
	h.mu.Lock()
	h.requests = append(h.requests, r.Method+" "+r.URL.Path)
	h.mu.Unlock()
	var resp *http.Response
	var err error
	if h.front != nil {
		resp, err = h.front(r)
	}
	if resp == nil && err == nil {
		h.mu.Lock()
		resp = h.serve(r)
		h.mu.Unlock()
	}
	if err == nil && h.back != nil {
		resp, err = h.back(r, resp)
	}
	if resp != nil {
		resp.Request = r
	}
	return resp, err
}

func (h *host) serve(r *http.Request) *http.Response {
	const repo = "/api/v3/repos/acme/mesh"
	if r.Header.Get("Authorization") != "Bearer "+token {
		return answer(401, `{"message": "Bad credentials", "documentation_url": "https://docs.github.com/rest"}`)
	}
	switch path := r.URL.Path; {
	case r.Method == "GET" && path == "/api/v3/user":
		if h.account == "" {
			return answer(403, `{"message": "Resource not accessible by integration"}`)
		}
		return answer(200, fmt.Sprintf(`{"login": %q, "id": 7, "type": "User"}`, h.account))
	case r.Method == "GET" && path == repo+"/pulls":
		return h.page(r, h.pulls)
	case r.Method == "GET" && path == repo+"/commits/"+commit+"/statuses":
		return h.page(r, h.statuses)
	case r.Method == "POST" && path == repo+"/statuses/"+commit:
		return h.post(r)
	case strings.Contains(path, "/statuses"):
		return answer(422, `{"message": "No commit found for SHA: `+strings.Repeat("1", 40)+`"}`)
	}
	return answer(404, `{"message": "Not Found"}`)
}

// post takes a status, by the rules that GitHub has for it.
func (h *host) post(r *http.Request) *http.Response {
	var s map[string]any
	if err := json.NewDecoder(r.Body).Decode(&s); err != nil {
		return answer(400, `{"message": "Problems parsing JSON"}`)
	}
	same := 0
	for _, old := range h.statuses {
		if old["context"] == s["context"] {
			same++
		}
	}
	switch {
	case len([]rune(s["description"].(string))) > 140:
		return answer(422, `{"message": "Validation Failed", "errors": [{"resource": "Status", "code": "custom", "field": "description", "message": "description is too long (maximum is 140 characters)"}]}`)
	case same >= 1000:
		return answer(422, `{"message": "Validation Failed", "errors": [{"resource": "Status", "code": "custom", "message": "This SHA and context has reached the maximum number of statuses."}]}`)
	}
	author := h.account
	if author == "" {
		author = "mesh-app[bot]"
	}
	h.add(author, s)
	body, _ := json.Marshal(h.statuses[0])
	return answer(201, string(body))
}

// add puts a status in front of the others, as the host lists them.
func (h *host) add(author string, s map[string]any) {
	s["id"] = 1000 + len(h.statuses)
	s["creator"] = map[string]any{"login": author}
	h.statuses = append([]map[string]any{s}, h.statuses...)
}

// page answers one page of a list, with an ETag and links.
func (h *host) page(r *http.Request, all []map[string]any) *http.Response {
	n, _ := strconv.Atoi(r.URL.Query().Get("page"))
	n = max(n, 1)
	from := min((n-1)*h.perPage, len(all))
	to := min(n*h.perPage, len(all))
	body, _ := json.Marshal(append([]map[string]any{}, all[from:to]...))
	etag := fmt.Sprintf(`W/"%x"`, sha256.Sum256(body))
	if r.Header.Get("If-None-Match") == etag {
		return answer(304, "", "ETag: "+etag)
	}
	headers := []string{"ETag: " + etag}
	if to < len(all) {
		next := *r.URL
		q := next.Query()
		q.Set("page", strconv.Itoa(n+1))
		next.RawQuery = q.Encode()
		headers = append(headers, fmt.Sprintf(`Link: <%s>; rel="next", <%s>; rel="last"`, &next, &next))
	}
	return answer(200, string(body), headers...)
}

// count returns how many requests there were, and forgets them.
func (h *host) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := len(h.requests)
	h.requests = nil
	return n
}
