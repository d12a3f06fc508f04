package githubtest

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// hook is where deliveries go.
type hook struct {
	url, secret string
	told        int // deliveries
	failed      []string
}

// Hook has what happens from now on told to a URL, signed with a secret. A
// delivery is answered before the call that caused it returns.
func (h *Host) Hook(url, secret string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hook = hook{url: url, secret: secret}
}

// Failed returns the deliveries that were not answered well, as "EVENT: WHY".
func (h *Host) Failed() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.hook.failed
}

// Push tells of a push to a branch.
func (h *Host) Push(branch, before, after string) {
	h.tell("push", map[string]any{"ref": "refs/heads/" + branch, "before": before, "after": after, "deleted": false, "created": false, "forced": false})
}

// Rerequest is a person who presses "Re-run" at the check run of a commit: it is
// queued again, and has no conclusion any more.
func (h *Host) Rerequest(commit, name string) {
	h.mu.Lock()
	for _, r := range h.runs {
		if r.Commit == commit && r.Name == name {
			r.Status, r.Conclusion = "queued", ""
		}
	}
	h.mu.Unlock()
	h.tell("check_run", map[string]any{"action": "rerequested", "check_run": map[string]any{"name": name, "head_sha": commit}})
}

func (h *Host) tellPull(action string, p Pull) {
	h.tell("pull_request", map[string]any{"action": action, "number": p.Number, "pull_request": p.json(h.owner())})
}

func (h *Host) tellComment(action string, c Comment) {
	h.tell("issue_comment", map[string]any{
		"action": action, "comment": c, "issue": map[string]any{"number": c.Pull, "pull_request": map[string]any{}},
	})
}

// tell delivers an event, if anybody wants to hear.
func (h *Host) tell(event string, payload map[string]any) {
	h.mu.Lock()
	h.hook.told++
	to := h.hook
	delivery := fmt.Sprintf("00000000-0000-4000-8000-%012d", to.told)
	h.mu.Unlock()
	if to.url == "" {
		return
	}
	payload["repository"] = map[string]any{"id": 1, "full_name": h.repo}
	if err := deliver(to, event, delivery, payload); err != nil {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.hook.failed = append(h.hook.failed, event+": "+err.Error())
	}
}

func deliver(to hook, event, delivery string, payload map[string]any) error {
	body, err := json.Marshal(payload)
	if err != nil {
		return err
	}
	sum := hmac.New(sha256.New, []byte(to.secret))
	sum.Write(body)
	req, err := http.NewRequest(http.MethodPost, to.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	for name, value := range map[string]string{
		"Content-Type": "application/json", "User-Agent": "GitHub-Hookshot/test", "X-GitHub-Event": event, "X-GitHub-Delivery": delivery,
		"X-Hub-Signature-256": "sha256=" + hex.EncodeToString(sum.Sum(nil)),
	} {
		req.Header.Set(name, value)
	}
	client := http.Client{Timeout: 10 * time.Second} // as GitHub's
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("answered %s", resp.Status)
	}
	return nil
}
