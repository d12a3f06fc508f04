package githubtest

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	// URL is the base URL of the API for those who have the host as transport.
	URL = "https://git.example.com/api/v3/"
	// Token is the one of Account.
	Token = "ghp_hunter2"
	// Account is the login of a person who may write.
	Account = "mesh-bot"
)

// Host is a git host with one repository. Its exported fields are set before the
// first request.
type Host struct {
	// Front, unless nil, sees each request first; a nil answer lets it through.
	Front func(r *http.Request) (*http.Response, error)
	// Back, unless nil, sees what the host has answered: it may lose it.
	Back func(r *http.Request, resp *http.Response) (*http.Response, error)
	// Knows reports whether a commit is in the repository; nil: every one is.
	Knows func(commit string) bool
	// PerPage is the length of a page; 0: what the request says.
	PerPage int
	// Hourly is how many requests an account may send in an hour; 0: any number.
	Hourly int
	// Writes is how many requests other than GET are taken within a minute; 0:
	// any number. RetryAfter is what the refusal says; 0: nothing.
	Writes     int
	RetryAfter time.Duration

	repo string
	mux  *http.ServeMux

	mu          sync.Mutex // guards:
	ids         int64
	tokens      map[string]account
	pulls       []*Pull // newest first, as GitHub lists them
	statuses    []*Status
	comments    []*Comment
	permissions map[string]string // by login, in lower case
	groups      map[string]string // ref → head
	runs        []*CheckRun
	deployments []*Deployment
	branches    map[string]string // name → commit
	made        map[string]Commit // by the API
	trees       map[string]Commit // that have no commit yet
	events      []issueEvent      // oldest first
	reviews     []review          // oldest first
	activities  []activity        // newest first
	app         *App
	hook        hook
	calls       []string
	writes      []time.Time
	used        int
	reset       time.Time
}

// account is who sends a request.
type account struct {
	User
	app     int64     // of an installation's token; 0: a person's
	expires time.Time // zero: never
}

// User is an account as the API shows it.
type User struct {
	Login string `json:"login"`
	ID    int64  `json:"id"`
	Type  string `json:"type"`
}

func userOf(login string) User {
	kind := "User"
	if strings.HasSuffix(login, "[bot]") {
		kind = "Bot"
	}
	sum := sha256.Sum256([]byte(login))
	return User{Login: login, ID: int64(sum[0])<<8 | int64(sum[1]), Type: kind}
}

// Meet sets Front while requests may be under way; nil lets all through.
func (h *Host) Meet(front func(*http.Request) (*http.Response, error)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.Front = front
}

// Lose sets Back while requests may be under way; nil loses nothing.
func (h *Host) Lose(back func(*http.Request, *http.Response) (*http.Response, error)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.Back = back
}

// Down is a Front that answers nothing well.
func Down(*http.Request) (*http.Response, error) {
	return Answer(http.StatusBadGateway, "<html><h1>Unicorn!</h1></html>"), nil
}

// Grant gives an account a token. That of an app, NAME[bot], may not ask whose it
// is.
func (h *Host) Grant(token, login string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tokens[token] = account{User: userOf(login)}
}

// New makes a host with an empty repository, OWNER/NAME.
func New(repo string) *Host {
	h := &Host{
		repo: repo, mux: http.NewServeMux(), ids: 1000,
		tokens: map[string]account{Token: {User: userOf(Account)}}, permissions: map[string]string{Account: "write"}, groups: map[string]string{},
		branches: map[string]string{}, made: map[string]Commit{}, trees: map[string]Commit{},
	}
	h.handle("GET /", h.getRepo)
	h.handle("GET user", h.getUser)
	h.handle("POST /statuses/{sha}", h.postStatus)
	h.handle("GET /commits/{sha}/statuses", h.getStatuses)
	h.handle("GET /pulls", h.getPulls)
	h.handle("POST /pulls", h.postPull)
	h.handle("GET /pulls/{number}", h.getPull)
	h.handle("GET /pulls/{number}/reviews", h.getReviews)
	h.handle("GET /activity", h.getActivity)
	h.handle("POST /git/trees", h.pushing(h.postTree))
	h.handle("POST /git/commits", h.pushing(h.postCommit))
	h.handle("POST /git/refs", h.pushing(h.postRef))
	h.handle("GET /commits/{sha}/pulls", h.getPullsOf)
	h.handle("GET /git/matching-refs/{ref...}", h.getRefs)
	h.handle("GET /issues/comments", h.getComments)
	h.handle("GET /issues/{number}", h.getIssue)
	h.handle("GET /issues/{number}/{id}", h.getCommentOrCommentsOf)
	h.handle("POST /issues/{number}/comments", h.postComment)
	h.handle("PATCH /issues/comments/{id}", h.patchComment)
	h.handle("DELETE /issues/comments/{id}", h.deleteComment)
	h.handle("POST /issues/comments/{id}/reactions", h.postReaction)
	h.handle("GET /collaborators/{login}/permission", h.getPermission)
	h.handle("GET /deployments", h.getDeployments)
	h.handle("POST /deployments", h.postDeployment)
	h.handle("GET /deployments/{id}/statuses", h.getDeploymentStatuses)
	h.handle("POST /deployments/{id}/statuses", h.postDeploymentStatus)
	h.handle("POST /check-runs", h.postCheckRun)
	h.handle("PATCH /check-runs/{id}", h.patchCheckRun)
	h.handle("GET /commits/{sha}/check-runs", h.getCheckRuns)
	h.handleApp("GET /app", h.getApp)
	h.handleApp("GET /repos/{repo}/installation", h.getInstallation)
	h.handleApp("POST /app/installations/{id}/access_tokens", h.postToken)
	return h
}

// RoundTrip makes the host a transport.
func (h *Host) RoundTrip(r *http.Request) (*http.Response, error) {
	h.mu.Lock()
	h.calls = append(h.calls, r.Method+" "+strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/api/v3"), "/repos/"+h.repo))
	front, back := h.Front, h.Back
	h.mu.Unlock()
	var resp *http.Response
	var err error
	if front != nil {
		resp, err = front(r)
	}
	if resp == nil && err == nil {
		resp = h.answer(r)
	}
	if err == nil && back != nil {
		resp, err = back(r, resp)
	}
	if resp != nil {
		resp.Request = r
	}
	return resp, err
}

// answer has the host itself answer.
func (h *Host) answer(r *http.Request) *http.Response {
	w := httptest.NewRecorder()
	if !h.limited(w, r) {
		inner := r.Clone(r.Context())
		if inner.Body == nil {
			inner.Body = http.NoBody
		}
		inner.URL.Path = strings.TrimPrefix(inner.URL.Path, "/api/v3")
		if _, pattern := h.mux.Handler(inner); pattern == "" {
			body, _ := json.Marshal(missing.body)
			w.WriteHeader(http.StatusNotFound)
			w.Write(body)
		} else {
			h.mux.ServeHTTP(w, inner)
		}
	}
	return w.Result()
}

// Serve puts the host behind a socket until the test ends, and returns the base
// URL of its API.
func (h *Host) Serve(t testing.TB) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		resp, err := h.RoundTrip(r)
		if err != nil {
			panic(http.ErrAbortHandler) // the connection breaks
		}
		defer resp.Body.Close()
		for name, values := range resp.Header {
			w.Header()[name] = values
		}
		w.WriteHeader(resp.StatusCode)
		io.Copy(w, resp.Body)
	}))
	t.Cleanup(s.Close)
	return s.URL + "/api/v3/"
}

// Calls returns the requests that have come since it was last asked, as "METHOD
// PATH", below the repository.
func (h *Host) Calls() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	calls := h.calls
	h.calls = nil
	return calls
}

// Answer makes an answer of a status, a body and headers ("Name: value").
func Answer(status int, body string, headers ...string) *http.Response {
	header := http.Header{}
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		header.Set(name, value)
	}
	return &http.Response{
		StatusCode: status, Status: fmt.Sprint(status, " ", http.StatusText(status)), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: io.NopCloser(bytes.NewBufferString(body)), ContentLength: int64(len(body)),
	}
}

// knows reports whether the commit is here.
func (h *Host) knows(commit string) bool { return h.Knows == nil || h.Knows(commit) }

// next returns an id.
func (h *Host) next() int64 {
	h.ids++
	return h.ids
}

func (h *Host) owner() string {
	owner, _, _ := strings.Cut(h.repo, "/")
	return owner
}

func (h *Host) getRepo(*request) *reply {
	return ok(200, map[string]any{"id": 1, "full_name": h.repo, "default_branch": "main"})
}

func (h *Host) getUser(r *request) *reply {
	if r.from.Type == "Bot" {
		return says(http.StatusForbidden, "Resource not accessible by integration")
	}
	return ok(200, r.from.User)
}
