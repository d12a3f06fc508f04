package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path"
	"strings"
	"unicode"

	"github.com/meshwright/meshwright/reconciler"
	"github.com/meshwright/meshwright/reconciler/canary"
)

// mostReason is how long a reason may be, in runes.
const mostReason = 200

// say takes POST /api/v1/rollouts/[NAMESPACE/]NAME/VERB of who shows a token. Its
// body may be {"reason": "…"}. It answers 202: what becomes of it, the list of
// rollouts shows.
func say(d Daemon, tokens Tokens, log *slog.Logger) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		who, code, err := writer(tokens, r)
		if err != nil {
			log.Warn("write refused", "address", r.RemoteAddr, "path", r.URL.Path, "err", err)
			if code == http.StatusUnauthorized {
				w.Header().Set("WWW-Authenticate", `Bearer realm="meshwright"`)
			}
			http.Error(w, err.Error(), code)
			return
		}
		reason, err := reasonOf(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		rollout, verb, by := path.Join(r.PathValue("namespace"), r.PathValue("name")), canary.Verb(r.PathValue("verb")), who
		if reason != "" {
			by += ": " + reason
		}
		if err := d.Say(rollout, verb, by); err != nil {
			code := http.StatusConflict
			if _, unknown := errors.AsType[reconciler.Unknown](err); unknown {
				code = http.StatusNotFound
			}
			http.Error(w, err.Error(), code)
			return
		}
		log.Info("rollout told", "canary", rollout, "type", verb, "by", who, "reason", reason)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusAccepted)
		io.WriteString(w, "{}\n")
	}
}

// writer is who may write, as NAME@HOST, or why nobody may and the status that
// says so.
func writer(tokens Tokens, r *http.Request) (who string, code int, err error) {
	shown, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	name, known := tokens.holder(strings.TrimSpace(shown))
	switch {
	case len(tokens) == 0:
		return "", http.StatusForbidden, errors.New("this daemon takes no writes: it has no API token; start it with --api-token-file or $MESHWRIGHT_API_TOKEN")
	case !bearer:
		return "", http.StatusUnauthorized, errors.New("a write needs a token: Authorization: Bearer TOKEN")
	case !known:
		return "", http.StatusUnauthorized, errors.New("the token is none of this daemon's")
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	return name + "@" + host, 0, nil
}

// reasonOf reads why somebody says something: one line; an empty body has none.
func reasonOf(body io.Reader) (string, error) {
	text, err := io.ReadAll(io.LimitReader(body, 4096))
	if err != nil {
		return "", err
	}
	if len(strings.TrimSpace(string(text))) == 0 {
		return "", nil
	}
	var said struct {
		Reason string `json:"reason"`
	}
	if err := json.Unmarshal(text, &said); err != nil {
		return "", fmt.Errorf(`the body is not {"reason": "…"}: %w`, err)
	}
	line := strings.Join(strings.FieldsFunc(said.Reason, func(c rune) bool { return unicode.IsSpace(c) || unicode.IsControl(c) }), " ")
	if n := len([]rune(line)); n > mostReason {
		return "", fmt.Errorf("the reason has %d characters; %d at most", n, mostReason)
	}
	return line, nil
}
