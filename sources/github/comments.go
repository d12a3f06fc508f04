package github

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/meshwright/meshwright/sources"
)

const (
	// hostComment is how long GitHub lets a comment be (characters).
	hostComment = 65_536
	// maxComment leaves room for the marker.
	maxComment = hostComment - 256
)

// comment is one of a pull request or an issue, as the host has it.
type comment struct {
	ID      int64     `json:"id"`
	User    user      `json:"user"`
	Body    string    `json:"body"`
	Page    string    `json:"html_url"`
	Created time.Time `json:"created_at"`
	Updated time.Time `json:"updated_at"`
}

// thread is what is known of our comments on one pull request.
type thread struct {
	mu   sync.Mutex          // held while one is written: else two of a key could be made
	ours map[string]standing // by key; nil: not read yet, or in doubt
}

// standing is a comment of ours.
type standing struct {
	id   int64
	text [sha256.Size]byte // its hash: texts are long
}

// text hashes a body, without what hosts change in it.
func text(body string) [sha256.Size]byte {
	return sha256.Sum256([]byte(strings.TrimRight(strings.ReplaceAll(body, "\r\n", "\n"), " \n")))
}

// marker is the hidden first line by which a comment of ours is found again.
func marker(key string) string { return "<!-- meshwright:" + key + " -->\n" }

// SetComment makes body the one comment of ours with this key on a pull request:
// it is made, edited in place, or left when it stands as is. The key goes into a
// hidden first line; a comment counts as ours only if our account wrote it. Its
// last characters are cut where it is longer than [sources.Limits.Comment].
//
// [sources.Permanent]: the pull request is not there (any more), or nobody may
// comment on it.
func (c *Client) SetComment(ctx context.Context, pull int, key, body string) error {
	c.mu.Lock()
	t := c.comments[pull]
	if t == nil {
		t = &thread{}
		c.comments[pull] = t
	}
	c.mu.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ours == nil {
		ours, err := c.ownComments(ctx, pull)
		if err != nil {
			return c.settled(ctx, err, c.at("/issues/%s", pull))
		}
		t.ours = ours
	}
	body = cut(marker(key)+strings.TrimPrefix(body, marker(key)), hostComment)
	old, found := t.ours[key]
	if found && old.text == text(body) {
		return nil
	}
	var now comment
	err := error(&refusal{status: http.StatusNotFound})
	in := map[string]string{"body": body}
	if found {
		_, err = c.call(ctx, http.MethodPatch, c.at("/issues/comments/%s", old.id), in, &now, "")
	}
	if is(err, http.StatusNotFound) { // or somebody deleted it
		_, err = c.call(ctx, http.MethodPost, c.at("/issues/%s/comments", pull), in, &now, "")
	}
	if err == nil && now.ID == 0 {
		err = errors.New(c.name + ": the answer to a comment is none")
	}
	if err != nil {
		t.ours = nil // it may stand; who knows
		return c.settled(ctx, err, c.at("/issues/%s", pull))
	}
	t.ours[key] = standing{now.ID, text(body)}
	c.learn(now.User.Login)
	return nil
}

// ownComments reads all comments of a pull request and returns ours by key. Of
// two with one key, which a crash can leave, it deletes the younger.
func (c *Client) ownComments(ctx context.Context, pull int) (map[string]standing, error) {
	all, err := list[[]comment](ctx, c, c.at("/issues/%s/comments?per_page=100", pull))
	if err != nil {
		return nil, err
	}
	me, err := c.account(ctx)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b comment) int { return cmp.Compare(a.ID, b.ID) })
	ours := map[string]standing{}
	for _, m := range all {
		if !m.User.is(me) {
			continue
		}
		key, ok := keyOf(m.Body)
		if !ok {
			continue
		}
		if first, double := ours[key]; double && first.id != m.ID {
			if _, err := c.call(ctx, http.MethodDelete, c.at("/issues/comments/%s", m.ID), nil, nil, ""); err != nil && !is(err, http.StatusNotFound) {
				return nil, err
			}
			continue
		}
		ours[key] = standing{m.ID, text(m.Body)}
	}
	return ours, nil
}

// keyOf reads the marker of a comment.
func keyOf(body string) (string, bool) {
	line, _, _ := strings.Cut(body, "\n")
	key, opened := strings.CutPrefix(line, "<!-- meshwright:")
	key, closed := strings.CutSuffix(strings.TrimRight(key, " \r"), " -->")
	return key, opened && closed
}

// pullPattern takes the number out of a comment's page: /pull/7#… at GitHub,
// /pulls/7#… at Gitea; those of issues are elsewhere.
var pullPattern = regexp.MustCompile(`/pulls?/([0-9]+)(?:#[^/]*)?$`)

// Comments returns the comments that were made at or after a time, oldest first:
// of too many, the first. As long as there is no news, asking again for the same
// time costs nothing of the limits. A comment that is edited in the second in
// which it was made does not count as edited.
func (c *Client) Comments(ctx context.Context, since time.Time) ([]sources.Comment, error) {
	since = since.UTC().Truncate(time.Second)
	// The host's since is of the last edit.
	all, err := poll[[]comment](ctx, c, c.at("/issues/comments?sort=created&direction=asc&per_page=100&since=%s", since.Format(time.RFC3339)))
	if err != nil && !errors.Is(err, errLong) {
		return nil, err
	}
	me, err := c.account(ctx)
	if err != nil {
		return nil, err
	}
	var out []sources.Comment
	seen := map[int64]bool{}
	for _, m := range all {
		if seen[m.ID] || m.Created.Before(since) {
			continue
		}
		seen[m.ID] = true
		number := 0
		if page := pullPattern.FindStringSubmatch(m.Page); page != nil {
			if n, err := strconv.Atoi(page[1]); err == nil {
				number = n
			}
		}
		out = append(out, sources.Comment{
			ID: m.ID, Pull: number, Author: m.User.Login, Edited: m.Updated.After(m.Created), Created: m.Created, Body: m.Body,
			Bot: m.User.Type == "Bot" || strings.HasSuffix(m.User.Login, "[bot]") || m.User.Login == me,
		})
	}
	slices.SortFunc(out, func(a, b sources.Comment) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
	return out, nil
}

// React puts our reaction to a comment: "+1", "-1", "eyes", "confused". The host
// keeps one of each kind and account.
//
// [sources.Permanent]: the comment is not there (any more), or nobody may react.
func (c *Client) React(ctx context.Context, comment int64, reaction string) error {
	_, err := c.call(ctx, http.MethodPost, c.at("/issues/comments/%s/reactions", comment), map[string]string{"content": reaction}, nil, "")
	return c.settled(ctx, err, c.at("/issues/comments/%s", comment))
}

// cut shortens s to at most n characters.
func cut(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}
