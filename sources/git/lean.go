package git

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"

	"github.com/meshwright/meshwright/sources"
)

// A lean store has all commits, and of those that were asked for (the tips of the
// branch, heads of pull requests, what they are merged on) the spec path with the
// folders that lead there. The rest stays at the remote, but for folders that come
// along with a new commit. It is what git calls a partial clone: of a repository
// whose specs are a corner, it is small, and so is the memory that it takes to
// index it. No shallow clone is as good: without the commits there are no merge
// bases, and they are the least of it.

// lean says whether objects may be missing that nobody needs.
func (s *store) lean() bool { return s.only() != "" }

// only is the folder that a lean store is for; "" of a whole one.
func (s *store) only() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.scope
}

// holds says whether a commit is in the store with all that it needs. known is as
// for lacking.
func (s *store) holds(ctx context.Context, commit, known plumbing.Hash) (bool, error) {
	ok, err := s.has(commit)
	if err != nil || !ok || !s.lean() {
		return ok, err
	}
	need, err := s.lacking(ctx, commit, known, 1)
	return len(need.objects) == 0, err
}

// need is what a store lacks of a commit, as far as it can tell: what is below a
// folder that it lacks, it cannot.
type need struct {
	objects []plumbing.Hash
	above   bool // a folder on the way to the spec path, of which nothing else is needed
}

// lacking finds what a commit needs and a lean store has not; what known, a tree
// that is complete, has at the same place is not looked for. It ends when it has
// found enough: the folders of a pull request can name millions of files. That the
// store cannot tell means that it is broken.
func (s *store) lacking(ctx context.Context, commit, known plumbing.Hash, enough int) (_ need, err error) {
	defer func() {
		if _, hostile := errors.AsType[*sources.Permanent](err); err != nil && !hostile && ctx.Err() == nil {
			err = fmt.Errorf("%w: %w", errBroken, err)
		}
	}()
	c, err := s.commit(commit)
	if err != nil {
		return need{}, err
	}
	tree, ok, err := s.subtree(c.TreeHash, s.only())
	switch {
	case errors.Is(err, plumbing.ErrObjectNotFound):
		return need{[]plumbing.Hash{tree}, true}, nil
	case err != nil || !ok:
		return need{}, err
	}
	var out need
	found := map[plumbing.Hash]bool{}
	add := func(h plumbing.Hash) error {
		if found[h] {
			return nil
		}
		found[h] = true
		if out.objects = append(out.objects, h); len(out.objects) >= enough {
			return errEnough
		}
		return nil
	}
	err = s.files(tree, known, func(file plumbing.Hash) error {
		if here, err := s.has(file); err != nil || here {
			return cmp.Or(err, ctx.Err())
		}
		return add(file)
	}, add)
	if errors.Is(err, errEnough) {
		err = nil
	}
	return out, err
}

// errEnough ends a walk, and is no trouble.
var errEnough = errors.New("enough")

// maxWants is how many objects are asked for at once: servers take requests of so
// many megabytes.
const maxWants = 50_000

// complete brings what a lean store lacks of a commit: the folders that lead to
// the spec path one after the other, all folders below it, then the files. Of a
// new commit, only the files are missing as a rule. most is as for [conn.fetch].
func (c *smartConn) complete(ctx context.Context, into *store, commit, known plumbing.Hash, most int64) error {
	var last plumbing.Hash
	enough := math.MaxInt
	if most > 0 {
		enough = maxChanges + 1
	}
	for {
		need, err := into.lacking(ctx, commit, known, enough)
		if err != nil || len(need.objects) == 0 {
			return err
		}
		if len(need.objects) >= enough {
			return &sources.Permanent{Err: fmt.Errorf("more than %d files below the spec path are new; split it", maxChanges)}
		}
		if need.objects[0] == last {
			return fmt.Errorf("object %s of commit %s: the host has not given it", last, commit)
		}
		last = need.objects[0]
		filter := packp.FilterBlobNone()
		if need.above {
			filter = packp.FilterTreeDepth(0)
		}
		for wants := range slices.Chunk(need.objects, maxWants) {
			req, err := c.request(filter, wants...)
			if err != nil {
				return err
			}
			if err := refused(c.receive(ctx, into, req, most), "not our ref", "not valid"); err != nil { // git's words, and JGit's
				return err
			}
		}
	}
}

// errRefused: the remote has said what it can leave out and give out, and does not
// keep to that.
var errRefused = errors.New("the host refuses what it says it can do")

// refused makes an error that has one of the words errRefused: of go-git's errors,
// the text is all there is.
func refused(err error, words ...string) error {
	for _, w := range words {
		if err != nil && strings.Contains(err.Error(), w) {
			return fmt.Errorf("%w: %w", errRefused, err)
		}
	}
	return err
}
