package githubtest

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// request is one that has come in, from an account.
type request struct {
	*http.Request
	from account
}

// decode reads the body.
func (r *request) decode(in any) *reply {
	if json.NewDecoder(r.Body).Decode(in) != nil {
		return says(http.StatusBadRequest, "Problems parsing JSON")
	}
	return nil
}

// number is a part of the path that is one; 0: it is none.
func (r *request) number(part string) int64 {
	n, _ := strconv.ParseInt(r.PathValue(part), 10, 64)
	return n
}

// reply is what a handler answers.
type reply struct {
	status int
	body   any
	key    string // of a list within an object; "": the list is all
}

func ok(status int, body any) *reply { return &reply{status: status, body: body} }

// says is a refusal, in the host's words.
func says(status int, message string) *reply {
	return &reply{status: status, body: map[string]any{"message": message, "documentation_url": "https://docs.github.com/rest"}}
}

// invalid is the refusal of a field.
func invalid(resource, field, message string) *reply {
	return &reply{status: http.StatusUnprocessableEntity, body: map[string]any{
		"message": "Validation Failed",
		"errors":  []any{map[string]string{"resource": resource, "code": "custom", "field": field, "message": message}},
	}}
}

var (
	missing  = says(http.StatusNotFound, "Not Found")
	badLogin = says(http.StatusUnauthorized, "Bad credentials")
)

// handle answers requests of a pattern; "/" stands for the repository.
func (h *Host) handle(pattern string, answer func(*request) *reply) {
	method, path, _ := strings.Cut(pattern, " ")
	if repo, ok := strings.CutPrefix(path, "/"); ok {
		path = strings.TrimSuffix("repos/"+h.repo+"/"+repo, "/")
	}
	h.mux.HandleFunc(method+" /"+path, func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		defer h.mu.Unlock()
		from, known := h.tokens[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
		switch {
		case !known || !from.expires.IsZero() && !time.Now().Before(from.expires):
			h.send(w, r, badLogin)
		default:
			h.send(w, r, answer(&request{r, from}))
		}
	})
}

// send writes a reply; of lists one page, with links to others. Whoever has it
// already hears so, for nothing.
func (h *Host) send(w http.ResponseWriter, r *http.Request, a *reply) {
	if all, list := a.body.([]any); list {
		n := max(1, number(r, "page"))
		per := h.PerPage
		if per == 0 {
			per = min(max(1, cmp.Or(number(r, "per_page"), 30)), 100)
		}
		if end := n * per; end < len(all) {
			next := *r.URL
			q := next.Query()
			q.Set("page", strconv.Itoa(n+1))
			next.RawQuery = q.Encode()
			w.Header().Set("Link", fmt.Sprintf(`<%s>; rel="next"`, &next))
		}
		var body any = all[min((n-1)*per, len(all)):min(n*per, len(all))]
		if a.key != "" {
			body = map[string]any{"total_count": len(all), a.key: body}
		}
		a = ok(a.status, body)
	}
	var body []byte
	if a.body != nil {
		body, _ = json.Marshal(a.body)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	if r.Method == http.MethodGet && a.status == http.StatusOK {
		etag := fmt.Sprintf(`W/"%x"`, sha256.Sum256(body))
		w.Header().Set("ETag", etag)
		if r.Header.Get("If-None-Match") == etag {
			h.used--
			a, body = ok(http.StatusNotModified, nil), nil
		}
	}
	h.rates(w.Header())
	w.WriteHeader(a.status)
	w.Write(body)
}

func number(r *http.Request, query string) int {
	n, _ := strconv.Atoi(r.URL.Query().Get(query))
	return n
}

// anys makes a list for [Host.send].
func anys[T any](items []T) []any {
	all := make([]any, len(items))
	for i, item := range items {
		all[i] = item
	}
	return all
}
