package plan

import (
	"iter"
	"slices"

	"github.com/meshwright/meshwright/schema"
)

// compare returns what differs between the routes of an owner, by name.
func compare(owner schema.Ref, before, after []line) []Route {
	var out []Route
	for was, is := range paired(before, after) {
		switch {
		case was == nil:
			out = append(out, Route{Owner: owner, Name: is.name, Match: is.words, Op: schema.Added, Before: []Share{}, After: is.shares})
		case is == nil:
			out = append(out, Route{Owner: owner, Name: was.name, Match: was.words, Op: schema.Removed, Before: was.shares, After: []Share{}})
		default:
			r := Route{Owner: owner, Name: is.name, Match: is.words, Op: schema.Changed, Before: was.shares, After: is.shares, Other: others(was, is)}
			if is.name == "" {
				r.Name = was.name
			}
			if len(r.Other) > 0 || !slices.Equal(r.Before, r.After) {
				out = append(out, r)
			}
		}
	}
	return out
}

// paired yields which routes of two sides are the same, nil for the side that
// has none: those of one name, then those that differ in nothing but that. The
// one route of a node takes every request, so it is the same as any.
func paired(before, after []line) iter.Seq2[*line, *line] {
	return func(yield func(*line, *line) bool) {
		switch {
		case len(before) == 1 && len(after) > 0 && implicit(before):
			for i := range after {
				if !yield(&before[0], &after[i]) {
					return
				}
			}
			return
		case len(after) == 1 && len(before) > 0 && implicit(after):
			for i := range before {
				if !yield(&before[i], &after[0]) {
					return
				}
			}
			return
		}
		var gone, come []*line
		for i := range before {
			if find(after, before[i].name) == nil {
				gone = append(gone, &before[i])
			}
		}
		for i := range after {
			if was := find(before, after[i].name); was == nil {
				come = append(come, &after[i])
			} else if !yield(was, &after[i]) {
				return
			}
		}
		renamed(gone, come, func(l *line) string { return l.match + spellPriority(l.prio) })(yield)
	}
}

// implicit reports whether the routes are those of a node.
func implicit(lines []line) bool { return lines[0].name == "" && lines[0].match == "" }

func find(lines []line, name string) *line {
	i := slices.IndexFunc(lines, func(l line) bool { return l.name == name })
	if i < 0 {
		return nil
	}
	return &lines[i]
}

// renamed yields which of those that are gone are there under another name, by
// a key that is equal then; nil for the side that has none.
func renamed[T any](gone, come []*T, key func(*T) string) iter.Seq2[*T, *T] {
	return func(yield func(was, is *T) bool) {
		left := slices.Clone(come)
		for _, was := range gone {
			var is *T
			if i := slices.IndexFunc(left, func(o *T) bool { return key(o) == key(was) }); i >= 0 {
				is = left[i]
				left = slices.Delete(left, i, i+1)
			}
			if !yield(was, is) {
				return
			}
		}
		for _, is := range left {
			if !yield(nil, is) {
				return
			}
		}
	}
}
