package github

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"
)

const (
	maxDelivery = 25 << 20         // bytes; GitHub's own limit
	deliveryEnd = 10 * time.Second // GitHub gives up after as long
)

// Webhook returns the handler of deliveries. After one that is signed with the
// secret and says that the branch or a pull request may have moved, it calls
// wake, which must not block, with the name of the event.
//
// Nothing of a delivery is believed but that something may have moved: the
// payload is hashed as it comes and never read. So a repeated, late or reordered
// delivery is harmless, its id need not be remembered, and one that is lost
// costs the time until the next look.
func Webhook(secret []byte, wake func(event string)) (http.Handler, error) {
	if len(secret) == 0 {
		return nil, errors.New("the webhook's secret is empty: everybody could wake the daemon")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			http.Error(w, "deliveries are POSTed", http.StatusMethodNotAllowed)
			return
		}
		if t, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); t != "application/json" && t != "application/x-www-form-urlencoded" {
			http.Error(w, "a delivery is JSON or a form", http.StatusUnsupportedMediaType)
			return
		}
		// Where the server cannot set it, its own timeouts hold.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(deliveryEnd))
		sum := hmac.New(sha256.New, secret)
		if _, err := io.Copy(sum, http.MaxBytesReader(w, r.Body, maxDelivery)); err != nil {
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
		switch event := r.Header.Get("X-GitHub-Event"); event {
		case "push", "pull_request", "delete": // Gitea tells of a deleted branch with delete, not with push
			wake(event)
			w.WriteHeader(http.StatusAccepted)
		case "ping":
			io.WriteString(w, "pong\n")
		default:
			w.WriteHeader(http.StatusNoContent)
		}
	}), nil
}
