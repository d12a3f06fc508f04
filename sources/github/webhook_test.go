package github_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/meshwright/meshwright/sources/github"
)

var secret = []byte("It's a Secret to Everybody")

func sign(body string) string {
	sum := hmac.New(sha256.New, secret)
	io.WriteString(sum, body)
	return "sha256=" + hex.EncodeToString(sum.Sum(nil))
}

// hook returns the handler, and the events that woke.
func hook(t testing.TB) (http.Handler, *[]github.Event) {
	t.Helper()
	var woken []github.Event
	h, err := github.Webhook(secret, func(e github.Event) { woken = append(woken, e) }, nil)
	if err != nil {
		t.Fatal(err)
	}
	return h, &woken
}

// delivery is a good one.
func delivery(event, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/webhooks/github", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-GitHub-Event", event)
	r.Header.Set("X-GitHub-Delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958")
	r.Header.Set("X-Hub-Signature-256", sign(body))
	return r
}

func TestWebhookNeedsASecret(t *testing.T) {
	if _, err := github.Webhook(nil, func(github.Event) {}, nil); err == nil {
		t.Error("a webhook without a secret")
	}
}

// TestSignatureOfGitHubsDocumentation is the example of "Validating webhook
// deliveries".
func TestSignatureOfGitHubsDocumentation(t *testing.T) {
	h, woken := hook(t)
	r := delivery("push", "Hello, World!")
	r.Header.Set("X-Hub-Signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusAccepted || len(*woken) != 1 {
		t.Errorf("%d, woken by %v", w.Code, *woken)
	}
}

func TestWebhook(t *testing.T) {
	old := hmac.New(sha1.New, secret)
	io.WriteString(old, "{}")
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	for name, test := range map[string]struct {
		event  string
		change func(*http.Request)
		status int
		wakes  bool
	}{
		"push":               {"push", nil, 202, true},
		"pull request":       {"pull_request", nil, 202, true},
		"deleted branch":     {"delete", nil, 202, true},
		"merge queue":        {"merge_group", nil, 202, true},
		"new branch":         {"create", nil, 202, true},
		"installed":          {"installation", nil, 202, true},
		"form":               {"push", header("Content-Type", "application/x-www-form-urlencoded"), 202, true},
		"charset":            {"push", header("Content-Type", "application/json; charset=utf-8"), 202, true},
		"ping":               {"ping", nil, 200, false},
		"another event":      {"star", nil, 204, false},
		"no event":           {"", nil, 204, false},
		"GET":                {"push", func(r *http.Request) { r.Method = "GET" }, 405, false},
		"text":               {"push", header("Content-Type", "text/plain"), 415, false},
		"no signature":       {"push", func(r *http.Request) { r.Header.Del("X-Hub-Signature-256") }, 401, false},
		"empty signature":    {"push", header("X-Hub-Signature-256", "sha256="), 401, false},
		"half a signature":   {"push", header("X-Hub-Signature-256", sign("{}")[:40]), 401, false},
		"of another body":    {"push", header("X-Hub-Signature-256", sign("{ }")), 401, false},
		"bare signature":     {"push", header("X-Hub-Signature-256", strings.TrimPrefix(sign("{}"), "sha256=")), 401, false},
		"SHA-1 in its place": {"push", header("X-Hub-Signature-256", "sha1="+hex.EncodeToString(old.Sum(nil))), 401, false},
		"ping by a stranger": {"ping", header("X-Hub-Signature-256", sign("")), 401, false},
		"only SHA-1": {"push", func(r *http.Request) {
			r.Header.Del("X-Hub-Signature-256")
			r.Header.Set("X-Hub-Signature", "sha1="+hex.EncodeToString(old.Sum(nil)))
		}, 401, false},
		"cut off": {"push", func(r *http.Request) {
			r.Body = io.NopCloser(io.MultiReader(strings.NewReader("{"), errReader{}))
		}, 400, false},
		"too large": {"push", func(r *http.Request) {
			r.Body = io.NopCloser(io.LimitReader(zeros{}, 25<<20+1))
		}, 413, false},
	} {
		t.Run(name, func(t *testing.T) {
			h, woken := hook(t)
			r := delivery(test.event, "{}")
			if test.change != nil {
				test.change(r)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != test.status || (len(*woken) == 1) != test.wakes {
				t.Errorf("%d %q, woken by %v; want %d, wakes: %v", w.Code, w.Body, *woken, test.status, test.wakes)
			}
		})
	}
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestRedelivery: what has woken does not wake again, whoever sends it again;
// what was refused or cut off may be sent again.
func TestRedelivery(t *testing.T) {
	h, woken := hook(t)
	send := func(change func(*http.Request)) int {
		r := delivery("push", "{}")
		change(r)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	as := func(id string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("X-GitHub-Delivery", id) }
	}
	cutOff := func(r *http.Request) { r.Body = io.NopCloser(errReader{}) }
	refused := func(r *http.Request) { r.Header.Set("X-Hub-Signature-256", sign("another")) }
	otherBody := func(r *http.Request) {
		r.Body = io.NopCloser(strings.NewReader("{ }"))
		r.Header.Set("X-Hub-Signature-256", sign("{ }"))
	}
	for i, step := range []struct {
		change        func(*http.Request)
		status, woken int
	}{
		{cutOff, 400, 0},
		{refused, 401, 0},
		{as(""), 202, 1}, // without an id there is nothing to know it by
		{as(""), 202, 2},
		{as("a"), 202, 3},
		{as("a"), 200, 3},
		{as("b"), 202, 4}, // a replay by somebody who has seen one: it wakes, that is all
		{otherBody, 202, 5},
		{as("72d3162e-cc78-11e3-81ab-4c9367dc0958"), 202, 6}, // that id was another body's
	} {
		if got := send(step.change); got != step.status || len(*woken) != step.woken {
			t.Errorf("step %d: %d, woken %d times; want %d, %d times", i, got, len(*woken), step.status, step.woken)
		}
	}
	for i := range 999 {
		send(as(strconv.Itoa(i)))
	}
	if got := send(as("72d3162e-cc78-11e3-81ab-4c9367dc0958")); got != 200 {
		t.Errorf("the 1000th last delivery is forgotten: %d", got)
	}
	send(as("one more"))
	send(as("and one more"))
	if got := send(as("72d3162e-cc78-11e3-81ab-4c9367dc0958")); got != 202 {
		t.Errorf("the memory has no end: %d", got)
	}
}

// TestStalledDelivery: a sender that stops in the middle holds a connection for
// no longer than GitHub itself would wait.
func TestStalledDelivery(t *testing.T) {
	h, _ := hook(t)
	w := &deadlined{ResponseRecorder: httptest.NewRecorder()}
	h.ServeHTTP(w, delivery("push", "{}"))
	if in := time.Until(w.read); in <= 0 || in > 10*time.Second {
		t.Errorf("reads end in %s", in)
	}
}

type deadlined struct {
	*httptest.ResponseRecorder
	read time.Time
}

func (w *deadlined) SetReadDeadline(t time.Time) error { w.read = t; return nil }

// FuzzWebhook: without a signature made with the secret nothing happens; with
// one, whatever the body is, the answer is good and only known events wake.
func FuzzWebhook(f *testing.F) {
	f.Add("POST", "application/json", "push", sign("{}"), []byte("{}"), false)
	f.Add("POST", "application/json", "pull_request", "", []byte(`{"action": "opened"}`), true)
	f.Add("POST", "application/x-www-form-urlencoded", "ping", "sha1=00", []byte("payload=%7B%7D"), true)
	f.Add("POST", "application/json", "check_run", "", []byte(`{"action": "rerequested", "check_run": {"head_sha": "4be1c0d5f2c9d1a3f0e6b7a8c9d0e1f2a3b4c5d6"}}`), true)
	f.Add("POST", "application/x-www-form-urlencoded", "check_suite", "", []byte("payload=%7B%22action%22%3A%22rerequested%22%7D&payload=%"), true)
	f.Add("GET", "", "push", "sha256=", []byte{}, true)
	f.Add("POST", "application/json; charset=\"", "", "sha256=zz", []byte("\x00\xff"), false)
	f.Fuzz(func(t *testing.T, method, contentType, event, signature string, body []byte, signed bool) {
		h, woken := hook(t)
		if signed {
			signature = sign(string(body))
		}
		r := httptest.NewRequest("POST", "/", bytes.NewReader(body))
		r.Method = method
		r.Header = http.Header{"Content-Type": {contentType}, "X-Github-Event": {event}, "X-Hub-Signature-256": {signature}}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		genuine := strings.HasPrefix(signature, "sha256=") && strings.EqualFold(signature, sign(string(body)))
		switch {
		case !genuine && (len(*woken) > 0 || w.Code < 400):
			t.Fatalf("no signature: %d, woken by %q", w.Code, *woken)
		case len(*woken) > 0 && (method != "POST" || !ours[event]):
			t.Fatalf("woken by %s %q", method, *woken)
		case len(*woken) == 1 && !regexp.MustCompile("^([0-9a-f]{40}|[0-9a-f]{64})?$").MatchString((*woken)[0].Commit):
			t.Fatalf("a commit that is none: %q", (*woken)[0].Commit)
		case genuine && method == "POST" && contentType == "application/json" && w.Code >= 300:
			t.Fatalf("a good delivery: %d", w.Code)
		case w.Code >= 500:
			t.Fatalf("our own trouble: %d", w.Code)
		}
	})
}
