package git

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/meshwright/meshwright/sources"
)

// Config of a [Repo].
type Config struct {
	URL     string        // a path, file://, https://, http://, ssh:// or user@host:path
	Branch  string        // short name, such as main
	Path    string        // folder of the specs in the repository; "" is its root
	Dir     string        // where the copy is kept; nothing else may be there
	Auth    Auth          // how to log in
	Timeout time.Duration // of one fetch, by default 60 s
	MaxPull int64         // bytes, as git packs them, that a pull request may bring; by default 256 MiB
	Whole   bool          // fetch the files outside Path, too; without it they stay where they are, if the remote can
	Logger  *slog.Logger  // by default none
}

// validate checks the configuration and fills in what is left out.
func (c *Config) validate() error {
	if c.Branch == "" {
		return errors.New("the branch is empty; name one, such as main")
	}
	if err := plumbing.NewBranchReferenceName(c.Branch).Validate(); err != nil {
		return fmt.Errorf("branch %q: not a name git allows", c.Branch)
	}
	if c.Dir == "" {
		return errors.New("the directory of the git store is empty")
	}
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return err
	}
	c.Dir = dir
	if c.Path, err = cleanPath(c.Path); err != nil {
		return err
	}
	if c.Timeout < 0 {
		return fmt.Errorf("timeout %s is negative", c.Timeout)
	}
	if c.Timeout == 0 {
		c.Timeout = time.Minute
	}
	if c.MaxPull < 0 {
		return fmt.Errorf("the most bytes of a pull request, %d, are negative", c.MaxPull)
	}
	if c.MaxPull == 0 {
		c.MaxPull = 256 << 20
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

// scope is the folder whose files are enough; "" when all are wanted.
func (c *Config) scope() string {
	if c.Whole {
		return ""
	}
	return c.Path
}

// cleanPath makes a folder inside the repository of what people write.
func cleanPath(p string) (string, error) {
	clean := path.Clean("/" + filepath.ToSlash(p))[1:]
	if strings.HasPrefix(path.Clean(filepath.ToSlash(p)), "..") {
		return "", fmt.Errorf("path %q leaves the repository; name a folder inside it", p)
	}
	return clean, nil
}

// Repo is a branch of a repository and its copy on disk. Its methods may be
// called concurrently; fetches wait for each other.
type Repo struct {
	cfg    Config
	name   string // of the remote, for people: no credentials
	remote remote
	branch plumbing.ReferenceName
	store  *store

	turn chan struct{} // held by the fetch that is under way

	mu   sync.Mutex // guards:
	last *sources.Revision
	seen bool // the store's tip was looked at since Open
}

// Open prepares a branch of a repository. It reads no network and changes
// nothing of a store that is whole.
func Open(cfg Config) (*Repo, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	ep, err := parseURL(cfg.URL, &cfg.Auth)
	if err != nil {
		return nil, err
	}
	branch := plumbing.NewBranchReferenceName(cfg.Branch)
	s, err := openStore(cfg.Dir, ep.name, cfg.scope(), branch)
	if err != nil {
		return nil, fmt.Errorf("open git store: %w", err)
	}
	return &Repo{cfg: cfg, name: ep.name, remote: newRemote(ep, cfg.Auth), branch: branch, store: s, turn: make(chan struct{}, 1)}, nil
}

func newRemote(e endpoint, auth Auth) remote {
	switch e.Protocol {
	case "file":
		return localRemote{e.Path}
	case "ssh":
		return sshRemote{e, auth}
	default:
		return newHTTPRemote(e, auth)
	}
}

// Last returns the branch's tip as the store has it, without the network; nil
// when the store has none yet, or is broken: the next Fetch then clones it anew.
func (r *Repo) Last() (*sources.Revision, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen {
		return r.last, r.missingPath(r.last)
	}
	r.seen = true
	tip, err := r.store.tip()
	if err == nil && !tip.IsZero() {
		// Nothing is taken for granted of a store that another process wrote.
		r.last, err = r.revision(r.store, tip, plumbing.ZeroHash)
	}
	if err != nil && !errors.Is(err, sources.ErrNoPath) {
		r.last = nil
		r.cfg.Logger.Warn("git store is broken, to be cloned anew", "err", err)
	}
	return r.last, r.missingPath(r.last)
}

// Fetch asks the remote for the branch, brings what is new, and returns its
// tip when every object of it was read and found whole. When nothing is new it
// returns the same revision again, and costs one look at the remote.
//
// A force-push is followed (Revision.Forced). [sources.ErrNoBranch] means that
// the branch is gone or the repository empty, [sources.ErrNoPath] that the tip
// has no folder at the spec path. After any error the store holds what it held.
func (r *Repo) Fetch(ctx context.Context) (*sources.Revision, error) {
	ctx, done, err := r.begin(ctx)
	if err != nil {
		return nil, r.failed(ctx, "fetch "+r.cfg.Branch, err)
	}
	defer done()
	rev, err := r.fetch(ctx)
	if err != nil {
		return rev, r.failed(ctx, "fetch "+r.cfg.Branch, err)
	}
	return rev, nil
}

// begin waits for its turn, and starts the clock of one fetch then: a pull
// request that somebody makes slow to fetch holds up the branch, but does not use
// up its time.
func (r *Repo) begin(ctx context.Context) (_ context.Context, done func(), err error) {
	limited := func(limit time.Duration) (context.Context, context.CancelFunc) {
		return context.WithTimeoutCause(ctx, limit, fmt.Errorf("no end after %s: %w", limit, context.DeadlineExceeded))
	}
	waiting, stop := limited(2 * r.cfg.Timeout)
	defer stop()
	select {
	case r.turn <- struct{}{}:
		ctx, cancel := limited(r.cfg.Timeout)
		return ctx, func() { <-r.turn; cancel() }, nil
	case <-waiting.Done():
		return waiting, nil, waiting.Err()
	}
}

// failed names the operation and the remote. Timeouts reach us in many
// wrappings; the context knows best.
func (r *Repo) failed(ctx context.Context, what string, err error) error {
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return oneLine{fmt.Errorf("%s from %s: %w", what, r.name, explain(err))}
}

func (r *Repo) fetch(ctx context.Context) (*sources.Revision, error) {
	start := time.Now()
	last, _ := r.Last()
	c, err := r.remote.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	tip, ok, err := c.tip(r.branch)
	switch {
	case err != nil:
		return nil, err
	case !ok:
		return nil, sources.ErrNoBranch
	case last != nil && last.Commit == tip.String():
		return last, r.missingPath(last)
	}

	var rev *sources.Revision
	if last == nil {
		rev, err = r.clone(ctx, c, tip)
	} else if rev, err = r.advance(ctx, c, tip, last); (errors.Is(err, errBroken) || errors.Is(err, errRefused)) && ctx.Err() == nil {
		rev, err = r.cloneAgain(ctx, err)
	}
	if err != nil && !errors.Is(err, sources.ErrNoPath) {
		return nil, err
	}
	if last != nil {
		now, then := plumbing.NewHash(rev.Commit), plumbing.NewHash(last.Commit)
		rev.Forced = !r.store.descends(now, then)
		rev.Landed = r.store.landed(now, then)
	}
	r.mu.Lock()
	r.last, r.seen = rev, true
	r.mu.Unlock()
	r.cfg.Logger.Info("revision fetched", "commit", rev.Commit, "ref", r.cfg.Branch, "forced", rev.Forced, "took", time.Since(start))
	r.compact()
	return rev, err
}

// compact keeps the store's packs few. That it cannot is no harm yet.
func (r *Repo) compact() {
	if err := r.store.compact(); err != nil {
		r.cfg.Logger.Warn("git store not compacted", "err", err)
	}
}
