package lab

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/meshwright/meshwright/cmd/internal/process"
)

// Envoy is one running proxy.
type Envoy struct {
	*process.Process
	admin  string // URL
	client *http.Client
}

// EnvoyConfig says how to start an Envoy.
type EnvoyConfig struct {
	Name      string         // of its files in the lab
	Bootstrap []byte         // what `meshwright bootstrap` prints
	Admin     netip.AddrPort // as the bootstrap has it
	// Client reaches the admin interface; nil is the ordinary one.
	Client *http.Client
	// Command makes the command; nil is [exec.Command]. A lab in network
	// namespaces has its own.
	Command func(name string, args ...string) *exec.Cmd
}

// StartEnvoy starts an Envoy with one worker, which is what a stand-in needs.
// What it logs of requests is in the file at once.
func (l *Lab) StartEnvoy(c EnvoyConfig) (*Envoy, error) {
	if c.Client == nil {
		c.Client = &http.Client{Timeout: 10 * time.Second}
	}
	if c.Command == nil {
		c.Command = exec.Command
	}
	file := l.path(c.Name + ".json")
	if err := os.WriteFile(file, c.Bootstrap, 0o600); err != nil {
		return nil, err
	}
	p, err := l.start(c.Name, c.Command(l.Envoy, "-c", file, "--concurrency", "1", "--use-dynamic-base-id", "--log-level", "warning", "--file-flush-interval-msec", "50"))
	if err != nil {
		return nil, err
	}
	return &Envoy{p, "http://" + c.Admin.String(), c.Client}, nil
}

// Live waits until the proxy has its first configuration and takes traffic.
func (e *Envoy) Live(ctx context.Context) error {
	return Eventually(ctx, 30*time.Second, e.Name+" takes traffic", func() error {
		if err := e.Exited(); err != nil {
			return err
		}
		_, err := e.Admin(ctx, "/ready")
		return err
	})
}

// Stats returns the counters and gauges whose names match a pattern.
func (e *Envoy) Stats(ctx context.Context, pattern string) (map[string]int64, error) {
	body, err := e.Admin(ctx, "/stats?filter="+url.QueryEscape(pattern))
	if err != nil {
		return nil, err
	}
	stats := map[string]int64{}
	for lines := bufio.NewScanner(strings.NewReader(body)); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		if n, err := strconv.ParseInt(value, 10, 64); err == nil {
			stats[name] = n
		}
	}
	return stats, nil
}

// updates are the counters of what a control plane sent. A cluster's own
// counters are not among them: those of a DNS cluster count its lookups.
const updates = `^(cluster_manager\.cds|listener_manager\.lds|http\..*\.rds\..*)\.update_(success|rejected)$`

// Updates is how many updates of clusters, listeners and routes the proxy was
// ever sent, taken or refused: while it does not grow, none came over the wire.
func (e *Envoy) Updates(ctx context.Context) (int64, error) {
	stats, err := e.Stats(ctx, updates)
	if err != nil {
		return 0, err
	}
	var sum int64
	for _, n := range stats {
		sum += n
	}
	return sum, nil
}

// Admin is a page of the proxy's admin interface, such as /clusters.
func (e *Envoy) Admin(ctx context.Context, path string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.admin+path, nil)
	if err != nil {
		return "", err
	}
	resp, err := e.client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("admin of %s: %s: %s", e.Name, resp.Status, strings.TrimSpace(string(body)))
	}
	return string(body), err
}
