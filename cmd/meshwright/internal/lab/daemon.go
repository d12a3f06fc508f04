package lab

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/meshwright/meshwright/cmd/internal/process"
)

// DaemonConfig says how to start `meshwright serve`.
type DaemonConfig struct {
	Repo string   // --repo
	Args []string // more flags
	Env  []string // KEY=VALUE: the secrets
	// XDS and HTTP are where it listens; empty: free ports. A daemon that
	// takes another's place needs the other's.
	XDS, HTTP string
}

// Daemon is a running `meshwright serve`.
type Daemon struct {
	*process.Process
	XDS  string // IP:PORT
	HTTP string // URL
}

// StartDaemon starts the daemon and waits until it says that it is ready. Its
// state stays in the lab: the next one goes on from it.
func (l *Lab) StartDaemon(ctx context.Context, c DaemonConfig) (*Daemon, error) {
	said := process.NewLines()
	cmd := exec.Command(l.Meshwright, append([]string{"serve", "--repo", c.Repo, "--state-dir", l.path("state"),
		"--xds-address", cmp.Or(c.XDS, "127.0.0.1:0"), "--http-address", cmp.Or(c.HTTP, "127.0.0.1:0")}, c.Args...)...)
	cmd.Env = append(os.Environ(), c.Env...)
	cmd.Stdout = said
	p, err := l.start("daemon", cmd)
	if err != nil {
		return nil, err
	}
	d := &Daemon{Process: p}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	line, err := said.Next(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("the daemon is not ready: %w\n%s", err, p.LastWords())
	}
	var ready bool
	if d.XDS, d.HTTP, ready = process.Ready(line); !ready {
		return nil, fmt.Errorf("the daemon said %q", line)
	}
	return d, nil
}

// Commit is what the daemon's API says of a commit.
type Commit struct {
	Commit      string
	Title       string
	Serving     bool
	Result      string // good, bad, unread
	Errors      int
	Documents   int
	Diagnostics []Diagnostic
	Applied     *struct {
		State       string
		Description string
		Progress    *struct {
			Touched, Applied int
			Took             time.Duration // from the daemon's decision to the last ACK
		}
	}
}

// Done reports whether every proxy that the commit touches has ACKed it, and
// there is one.
func (c Commit) Done() bool {
	return c.Serving && c.Applied != nil && c.Applied.Progress != nil &&
		c.Applied.Progress.Touched > 0 && c.Applied.Progress.Applied == c.Applied.Progress.Touched
}

// Diagnostic is one finding of the daemon.
type Diagnostic struct {
	Severity string
	Pos      struct {
		File      string
		Line, Col int
	}
	Resource        struct{ Kind, Namespace, Name string }
	Path, What, Fix string
}

// String is the line that `meshwright check` prints.
func (d Diagnostic) String() string {
	s := fmt.Sprintf("%s:%d:%d: %s: %s/%s/%s: %s: %s", d.Pos.File, d.Pos.Line, d.Pos.Col, d.Severity,
		d.Resource.Kind, d.Resource.Namespace, d.Resource.Name, d.Path, d.What)
	if d.Fix != "" {
		s += "; " + d.Fix
	}
	return s
}

// Proxy is what the daemon's API says of a proxy.
type Proxy struct {
	ID        string
	Proxyless bool
	Desired   string // commit
	Applied   string // commit
	Types     map[string]struct {
		Resources int                       // that it holds
		Sent      int                       // responses on its stream
		NACK      *struct{ Message string } // of the last response, if it refused it
	}
}

// Commit asks for one commit.
func (d *Daemon) Commit(ctx context.Context, hash string) (Commit, error) {
	all, err := get[Commit](ctx, d, "commits", hash)
	if err != nil {
		return Commit{}, err
	}
	i := slices.IndexFunc(all, func(c Commit) bool { return c.Commit == hash })
	if i < 0 {
		return Commit{}, fmt.Errorf("the daemon has not seen commit %s", hash)
	}
	return all[i], nil
}

// Await asks for a commit until it is as it should be.
func (d *Daemon) Await(ctx context.Context, hash, what string, is func(Commit) bool) (c Commit, err error) {
	err = Eventually(ctx, 30*time.Second, what, func() error {
		if err := d.Exited(); err != nil {
			return err
		}
		if c, err = d.Commit(ctx, hash); err == nil && !is(c) {
			err = fmt.Errorf("the daemon says of %s: %+v, applied %+v", hash, c, c.Applied)
		}
		return err
	})
	return c, err
}

// Proxies asks for the connected proxies.
func (d *Daemon) Proxies(ctx context.Context) ([]Proxy, error) {
	return get[Proxy](ctx, d, "proxies", "")
}

func get[T any](ctx context.Context, d *Daemon, what, name string) (list []T, err error) {
	target := strings.TrimSuffix(d.HTTP, "/") + "/api/v1/" + what + "?name=" + url.QueryEscape(name)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: %s", target, resp.Status)
	}
	return list, json.NewDecoder(resp.Body).Decode(&list)
}
