package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// maxPages bounds a list, should a host's links never end.
const maxPages = 100

// errLong is wrapped where a list has more pages; those that were read come with it.
var errLong = fmt.Errorf("more than %d pages", maxPages)

// giteaPage is as many of a list as Gitea gives at once.
const giteaPage = 50

// page is one page of a list, kept to ask next time whether it has changed: a
// "no" costs nothing of the limits.
type page[L any] struct {
	etag  string
	items L
	next  int // number of the next page; 0: none
}

// polled is what the last poll of a route has read.
type polled[L any] struct {
	path  string
	pages []page[L]
}

// list reads a whole list.
func list[L ~[]T, T any](ctx context.Context, c *Client, from place) (L, error) {
	pages, err := pagesOf[L](ctx, c, from, nil)
	return joined(pages), err
}

// poll reads a list that is asked for again and again: as long as it stays as
// it was, that costs nothing of the limits.
func poll[L ~[]T, T any](ctx context.Context, c *Client, from place) (L, error) {
	if err := c.limits.polled(from.route); err != nil {
		return nil, err
	}
	c.mu.Lock()
	last, _ := c.known[from.route].(polled[L])
	c.mu.Unlock()
	if last.path != from.path {
		last.pages = nil
	}
	pages, err := pagesOf(ctx, c, from, last.pages)
	if err != nil && !errors.Is(err, errLong) {
		return nil, err
	}
	c.mu.Lock()
	c.known[from.route] = polled[L]{from.path, pages}
	c.mu.Unlock()
	return joined(pages), err
}

func joined[L ~[]T, T any](pages []page[L]) L {
	var all L
	for _, p := range pages {
		all = append(all, p.items...)
	}
	return all
}

// pagesOf reads a list page by page. known are the pages of the time before.
func pagesOf[L ~[]T, T any](ctx context.Context, c *Client, from place, known []page[L]) ([]page[L], error) {
	var pages []page[L]
	for n := 1; n != 0; {
		i := len(pages)
		if i == maxPages {
			return pages, fmt.Errorf("%s: the list %s has %w", c.name, from.path, errLong)
		}
		var p, old page[L]
		if i < len(known) {
			old = known[i]
		}
		to := from
		if n > 1 {
			to = to.with("page", n)
		}
		if c.gitea { // whose own word for per_page this is
			to = to.with("limit", giteaPage)
		}
		resp, err := c.call(ctx, http.MethodGet, to, nil, &p.items, old.etag)
		switch {
		case errors.Is(err, errUnchanged) && old.etag != "":
			p = old
		case err != nil:
			return nil, err
		case p.items == nil: // go-github takes an empty body for an answer
			return nil, fmt.Errorf("%s: the answer to %s is no list", c.name, from.path)
		default:
			p.etag, p.next = resp.Header.Get("ETag"), resp.NextPage
			// Gitea has lists without links.
			if n*giteaPage < number(resp.Header.Get("X-Total-Count")) && c.gitea && len(p.items) > 0 {
				p.next = n + 1
			}
		}
		pages = append(pages, p)
		n = p.next
	}
	return pages, nil
}

// with adds a parameter to the query.
func (p place) with(key string, value int) place {
	sep := "?"
	if strings.Contains(p.path, "?") {
		sep = "&"
	}
	p.path += fmt.Sprint(sep, key, "=", value)
	return p
}

// number reads one; 0: it is none.
func number(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}
