package githubtest

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// limited refuses a request where an account has used up its hour, or writes too
// fast.
func (h *Host) limited(w http.ResponseWriter, r *http.Request) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	if !now.Before(h.reset) {
		h.used, h.reset = 0, now.Add(time.Hour).Truncate(time.Second)
	}
	if h.Hourly > 0 && h.used >= h.Hourly {
		h.refuse(w, "API rate limit exceeded for user ID 7.")
		return true
	}
	h.used++
	if r.Method == http.MethodGet {
		return false
	}
	recent := h.writes[:0]
	for _, at := range h.writes {
		if now.Sub(at) < time.Minute {
			recent = append(recent, at)
		}
	}
	h.writes = recent
	if h.Writes > 0 && len(h.writes) >= h.Writes {
		if h.RetryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int(h.RetryAfter/time.Second)))
		}
		h.refuse(w, "You have exceeded a secondary rate limit and have been temporarily blocked from content creation. Please retry your request again later.")
		return true
	}
	h.writes = append(h.writes, now)
	return false
}

func (h *Host) refuse(w http.ResponseWriter, message string) {
	h.rates(w.Header())
	w.WriteHeader(http.StatusForbidden)
	fmt.Fprintf(w, `{"message": %q, "documentation_url": "https://docs.github.com/rest/overview/rate-limits-for-the-rest-api"}`, message)
}

// rates says in the headers what is left of the hour.
func (h *Host) rates(header http.Header) {
	if h.Hourly == 0 {
		return
	}
	header.Set("X-RateLimit-Limit", strconv.Itoa(h.Hourly))
	header.Set("X-RateLimit-Remaining", strconv.Itoa(max(0, h.Hourly-h.used)))
	header.Set("X-RateLimit-Reset", strconv.FormatInt(h.reset.Unix(), 10))
	header.Set("X-RateLimit-Resource", "core")
}
