package github

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

const (
	maxDelivery = 25 << 20         // bytes; GitHub's own limit
	maxRead     = 1 << 20          // bytes of a delivery that are kept to be read
	deliveryEnd = 10 * time.Second // GitHub gives up after as long
	remembered  = 1000             // deliveries: some hours of a busy repository
)

// Webhook returns the handler of deliveries. After one that is signed with the
// secret and says that the branch or a pull request may have moved, it calls
// wake, which must not block. log, which may be nil, is told what somebody
// should see to: a hook that lacks events, a repository with a new name.
//
// A delivery is hashed as it comes, and nothing of it is believed but that
// something may have moved: a late, lost, reordered or forged one does no harm.
// One that has woken does not do so again when it is sent again; one that was
// refused, or cut off, may be.
func Webhook(secret []byte, wake func(Event), log *slog.Logger) (http.Handler, error) {
	if len(secret) == 0 {
		return nil, errors.New("the webhook's secret is empty: everybody could wake the daemon")
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &webhook{secret: secret, wake: wake, log: log}, nil
}

type webhook struct {
	secret []byte
	wake   func(Event)
	log    *slog.Logger
	woken  memory
}

func (h *webhook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "deliveries are POSTed", http.StatusMethodNotAllowed)
		return
	}
	form, ok := encoding(r)
	if !ok {
		http.Error(w, "a delivery is JSON or a form", http.StatusUnsupportedMediaType)
		return
	}
	// Where the server cannot set it, its own timeouts hold.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(deliveryEnd))
	sum, kept := hmac.New(sha256.New, h.secret), &head{}
	if _, err := io.Copy(io.MultiWriter(sum, kept), http.MaxBytesReader(w, r.Body, maxDelivery)); err != nil {
		status := http.StatusBadRequest
		if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
			status = http.StatusRequestEntityTooLarge
		}
		http.Error(w, "the delivery is cut off or too large", status)
		return
	}
	// The older X-Hub-Signature is SHA-1 and counts for nothing.
	claim, isHex := strings.CutPrefix(r.Header.Get("X-Hub-Signature-256"), "sha256=")
	signature, err := hex.DecodeString(claim)
	if !isHex || err != nil || !hmac.Equal(signature, sum.Sum(nil)) {
		http.Error(w, "X-Hub-Signature-256 is missing or not made with our secret", http.StatusUnauthorized)
		return
	}
	h.take(w, r.Header.Get("X-GitHub-Event"), r.Header.Get("X-GitHub-Delivery"), string(signature), kept.payload(form))
}

// take answers a delivery that is signed. Whatever is to be done, is done after
// the answer, by whom it wakes.
func (h *webhook) take(w http.ResponseWriter, event, id, signature string, p payload) {
	p.advise(event, h.log)
	switch {
	case event == "ping":
		io.WriteString(w, "pong\n")
	case !p.wakes(event):
		w.WriteHeader(http.StatusNoContent)
	// Ids are not signed, and some hosts count them: two deliveries are the same
	// one when what they say is the same, too.
	case id != "" && !h.woken.add(sha256.Sum256([]byte(id+signature))):
		io.WriteString(w, "seen already\n")
	default:
		h.wake(Event{Name: event, Action: p.Action, Delivery: id, Commit: p.commit(event)})
		w.WriteHeader(http.StatusAccepted)
	}
}

// encoding reports whether a delivery is a form, and whether it is of a known
// kind at all.
func encoding(r *http.Request) (form, ok bool) {
	switch t, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); t {
	case "application/json":
		return false, true
	case "application/x-www-form-urlencoded":
		return true, true
	}
	return false, false
}

// head keeps what is written to it, unless that becomes too much.
type head struct {
	bytes.Buffer
	full bool
}

func (h *head) Write(p []byte) (int, error) {
	if h.full = h.full || h.Len()+len(p) > maxRead; !h.full {
		h.Buffer.Write(p)
	}
	return len(p), nil
}

// payload reads what was kept; nothing of one that was too long or is no JSON.
func (h *head) payload(form bool) payload {
	if h.full {
		return payload{}
	}
	if !form {
		return parsePayload(h.Bytes())
	}
	// What is malformed is left out.
	values, _ := url.ParseQuery(h.String())
	return parsePayload([]byte(values.Get("payload")))
}

// memory knows the last deliveries by their digests.
type memory struct {
	mu   sync.Mutex // guards:
	seen map[[sha256.Size]byte]bool
	last [remembered][sha256.Size]byte // a ring: next is where the oldest is
	next int
}

// add reports whether a delivery is new, and remembers it.
func (m *memory) add(delivery [sha256.Size]byte) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.seen[delivery] {
		return false
	}
	if m.seen == nil {
		m.seen = map[[sha256.Size]byte]bool{}
	}
	delete(m.seen, m.last[m.next])
	m.seen[delivery], m.last[m.next] = true, delivery
	m.next = (m.next + 1) % remembered
	return true
}
