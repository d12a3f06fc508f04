package web_test

import (
	"bytes"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/meshwright/meshwright/cmd/meshwright/internal/web"
	"github.com/meshwright/meshwright/reconciler"
)

const (
	ops = "0123456789abcdef-ops"
	ci  = "0123456789abcdef-ci"
)

func parse(t *testing.T, text string) web.Tokens {
	t.Helper()
	tokens, err := web.ParseTokens(text)
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

// TestSay: who shows a token is heard, by name and with a reason; nobody else.
func TestSay(t *testing.T) {
	var log bytes.Buffer
	d := &fixed{view: &reconciler.View{}}
	h := web.Handler(d, web.Config{Metrics: prometheus.NewRegistry(), Tokens: parse(t, "# people\n"+ops+" ops\n\n"+ci), Logger: slog.New(slog.NewTextHandler(&log, nil))})
	for _, row := range []struct {
		path, authorization, body string
		code                      int
		answer, said              string
	}{
		{"yelb/appserver/pause", "Bearer " + ops, `{"reason": "the warehouse\n\tcounts\u001b[31m"}`, 202, "{}", "pause yelb/appserver by ops@192.0.2.1: the warehouse counts [31m"},
		{"yelb%2Fappserver/resume", "Bearer " + ci, ``, 202, "{}", "resume yelb/appserver by token@192.0.2.1"},
		{"appserver/abort", "Bearer " + ops, ` {} `, 202, "{}", "abort appserver by ops@192.0.2.1"},
		{"appserver/abort", "", ``, 401, "a write needs a token: Authorization: Bearer TOKEN", ""},
		{"appserver/abort", "Basic " + ops, ``, 401, "a write needs a token: Authorization: Bearer TOKEN", ""},
		{"appserver/abort", "Bearer " + ops + "x", ``, 401, "the token is none of this daemon's", ""},
		{"appserver/abort", "Bearer ", ``, 401, "the token is none of this daemon's", ""},
		{"appserver/abort", "Bearer " + ops, `now!`, 400, `the body is not {"reason": "…"}: invalid character 'o' in literal null (expecting 'u')`, ""},
		{"appserver/abort", "Bearer " + ops, `{"reason": "` + strings.Repeat("é", 201) + `"}`, 400, "the reason has 201 characters; 200 at most", ""},
		{"nobody/abort", "Bearer " + ops, ``, 404, "there is no rollout nobody", ""},
		{"done/abort", "Bearer " + ops, ``, 409, "the rollout done has nothing on its way", ""},
	} {
		d.said = nil
		r := httptest.NewRequest("POST", "/api/v1/rollouts/"+row.path, strings.NewReader(row.body))
		r.Header.Set("Authorization", row.authorization)
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		if rec.Code != row.code || strings.TrimSpace(rec.Body.String()) != row.answer || strings.Join(d.said, "; ") != row.said || (rec.Code == 401) != (rec.Header().Get("WWW-Authenticate") != "") {
			t.Errorf("%s %s: %d %s; said %q; want %d %s; %q", row.path, row.body, rec.Code, rec.Body, d.said, row.code, row.answer, row.said)
		}
	}
	for _, want := range []string{`msg="rollout told" canary=yelb/appserver type=pause by=ops@192.0.2.1 reason="the warehouse counts [31m"`, `msg="write refused" address=192.0.2.1:1234 path=/api/v1/rollouts/appserver/abort`} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not say %s:\n%s", want, &log)
		}
	}
	if strings.Contains(log.String(), ops) {
		t.Error("the log has a token")
	}
}

func TestParseTokens(t *testing.T) {
	for text, want := range map[string]string{
		"":                        "",
		"\n":                      "",
		ops:                       "",
		"# nothing":               "no token in it",
		ops + " of ops":           "line 1: want a token and a name of who has it, separated by a space",
		ops + " ops\nhunter2 bob": "line 2: a token needs 16 characters at least; `openssl rand -hex 16` makes one",
	} {
		got := ""
		if _, err := web.ParseTokens(text); err != nil {
			got = err.Error()
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
}
