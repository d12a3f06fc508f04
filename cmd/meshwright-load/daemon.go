package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/meshwright/meshwright/cmd/internal/process"
)

const webhookSecret = "load"

// daemon is a `meshwright serve` with a repository.
type daemon struct {
	*child
	xds, http string // HOST:PORT, URL
	deliver   int    // webhooks so far
}

// startDaemon starts the daemon on a repository and waits until it serves; it
// took so long. Its state stays in dir for the next.
func startDaemon(ctx context.Context, program, dir string, repo *repository, more []string) (d *daemon, took time.Duration, err error) {
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte(webhookSecret), 0o600); err != nil {
		return nil, 0, err
	}
	begin := time.Now()
	c, err := start(filepath.Join(dir, "daemon.log"), program, append([]string{"serve", "--repo", repo.bare(), "--state-dir", filepath.Join(dir, "state"),
		"--xds-address", "127.0.0.1:0", "--http-address", "127.0.0.1:0", "--poll", "1h", "--webhook-secret-file", secret, "--log-format", "json"}, more...)...)
	if err != nil {
		return nil, 0, err
	}
	line, err := c.line(ctx)
	d = &daemon{child: c}
	if ready := false; err == nil {
		if d.xds, d.http, ready = process.Ready(line); !ready {
			err = fmt.Errorf("the daemon said %q", line)
		}
	}
	if err != nil {
		c.Stop()
		return nil, 0, err
	}
	return d, time.Since(begin), nil
}

// webhook delivers a signed one. Each differs: a second of the same would count
// as one that was sent again.
func (d *daemon) webhook(ctx context.Context) error {
	d.deliver++
	body := fmt.Appendf(nil, `{"ref":"refs/heads/main","number":%d}`, d.deliver)
	mac := hmac.New(sha256.New, []byte(webhookSecret))
	mac.Write(body)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.http+"/webhooks/github", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-GitHub-Event", "push")
	req.Header.Set("X-GitHub-Delivery", strconv.Itoa(d.deliver))
	req.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("webhook: %s", resp.Status)
	}
	return nil
}

// clocks are what the daemon has spent so far on each stage.
type clocks struct{ fetch, load, publish, handOver time.Duration }

// clocks reads the daemon's metrics.
func (d *daemon) clocks(ctx context.Context) (clocks, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.http+"/metrics", nil)
	if err != nil {
		return clocks{}, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return clocks{}, err
	}
	defer resp.Body.Close()
	var c clocks
	found := 0
	s := bufio.NewScanner(resp.Body)
	for s.Scan() {
		name, value, _ := strings.Cut(s.Text(), " ")
		at := map[string]*time.Duration{
			"meshwright_reconciler_fetch_seconds_sum": &c.fetch, "meshwright_reconciler_load_seconds_sum": &c.load,
			"meshwright_reconciler_publish_seconds_sum": &c.publish, "meshwright_ads_publish_seconds_sum": &c.handOver,
		}[name]
		if at == nil {
			continue
		}
		seconds, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return clocks{}, err
		}
		*at = time.Duration(seconds * float64(time.Second))
		found++
	}
	if found != 4 {
		return clocks{}, fmt.Errorf("the daemon has %d of the 4 metrics of its stages: is it of another version?", found)
	}
	return c, s.Err()
}

// published is when the daemon had published for the last time, by its log.
func (d *daemon) published() (time.Time, error) {
	var at time.Time
	for line := range strings.Lines(d.Log()) {
		var entry struct {
			Time time.Time
			Msg  string
		}
		if strings.Contains(line, "commit published") && json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == "commit published" {
			at = entry.Time
		}
	}
	if at.IsZero() {
		return at, errors.New("the daemon's log says of no commit that it was published")
	}
	return at, nil
}
