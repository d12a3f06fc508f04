package githubtest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// App is a GitHub App that is installed on the repository.
type App struct {
	ID           int64
	Slug         string // its login is SLUG[bot]
	Installation int64  // 0: it is installed nowhere
	Suspended    bool   // somebody has paused the installation
	Elsewhere    bool   // the installation does not have the repository
	MayPush      bool   // it was given contents (write)

	tokens int
}

// appKey is made once: it takes a while.
var appKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// Install installs an App, in the place of one that was, whose tokens end. It
// returns the App's private key, PEM.
func (h *Host) Install(a App) []byte {
	key, err := appKey()
	if err != nil {
		panic(err) // no randomness
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for token, by := range h.tokens {
		if by.app != 0 {
			delete(h.tokens, token)
		}
	}
	if h.app != nil {
		a.tokens = h.app.tokens
	}
	h.app = &a
	return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
}

// handleApp answers requests of the App itself, which come with a JWT.
func (h *Host) handleApp(pattern string, answer func(*request) *reply) {
	h.mux.HandleFunc(strings.ReplaceAll(pattern, "{repo}", h.repo), func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		defer h.mu.Unlock()
		if wrong := h.unsigned(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")); wrong != "" {
			h.send(w, r, says(http.StatusUnauthorized, wrong))
			return
		}
		h.send(w, r, answer(&request{Request: r}))
	})
}

// unsigned says what is wrong with a JWT, in GitHub's words.
func (h *Host) unsigned(jwt string) string {
	const undecodable = "A JSON web token could not be decoded"
	part := strings.Split(jwt, ".")
	if len(part) != 3 {
		return undecodable
	}
	payload, err := base64.RawURLEncoding.DecodeString(part[1])
	if err != nil {
		return undecodable
	}
	signature, err := base64.RawURLEncoding.DecodeString(part[2])
	if err != nil {
		return undecodable
	}
	key, err := appKey()
	if err != nil {
		return undecodable
	}
	sum := sha256.Sum256([]byte(part[0] + "." + part[1]))
	if rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, sum[:], signature) != nil {
		return undecodable
	}
	var claims struct {
		Issuer  string `json:"iss"`
		Issued  int64  `json:"iat"`
		Expires int64  `json:"exp"`
	}
	if json.Unmarshal(payload, &claims) != nil {
		return undecodable
	}
	now := time.Now().Unix()
	switch {
	case h.app == nil || claims.Issuer != strconv.FormatInt(h.app.ID, 10):
		return "Integration not found"
	case claims.Issued > now:
		return "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued"
	case claims.Expires <= now || claims.Expires > now+600:
		return "'Expiration time' claim ('exp') is too far in the future"
	}
	return ""
}

func (h *Host) getApp(*request) *reply {
	return ok(200, map[string]any{"id": h.app.ID, "slug": h.app.Slug, "name": h.app.Slug})
}

func (h *Host) getInstallation(*request) *reply {
	if h.app.Installation == 0 || h.app.Elsewhere {
		return missing
	}
	return ok(200, map[string]any{"id": h.app.Installation, "app_id": h.app.ID, "app_slug": h.app.Slug})
}

// postToken gives a token for an hour.
func (h *Host) postToken(r *request) *reply {
	var in struct{ Repositories []string }
	if bad := r.decode(&in); bad != nil {
		return bad
	}
	_, name, _ := strings.Cut(h.repo, "/")
	switch {
	case h.app.Installation == 0 || r.number("id") != h.app.Installation:
		return missing
	case h.app.Suspended:
		return says(http.StatusForbidden, "This installation has been suspended")
	case h.app.Elsewhere, len(in.Repositories) > 0 && in.Repositories[0] != name:
		return says(http.StatusUnprocessableEntity, "There is at least one repository that does not exist or is not accessible to the parent installation.")
	}
	h.app.tokens++
	token := fmt.Sprintf("ghs_%d", h.app.tokens)
	expires := time.Now().UTC().Add(time.Hour).Truncate(time.Second)
	h.tokens[token] = account{User: userOf(h.app.Slug + "[bot]"), app: h.app.ID, expires: expires}
	contents := "read"
	if h.app.MayPush {
		contents = "write"
	}
	return ok(201, map[string]any{"token": token, "expires_at": expires, "permissions": map[string]string{"checks": "write", "contents": contents, "pull_requests": "write"}})
}
