package report

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// section is a part of a comment that can be shortened by rows and left out.
type section struct {
	title string   // names it where it is left out; ours, never of others
	where string   // where all of it is to be seen
	fold  bool     // behind its title and its count
	count string   // empty: how many rows there are
	head  string   // before the rows: a table's first two lines
	rows  []string // each ends with a newline
	most  int      // rows that are shown at most; 0: all
	// unkept is how many rows more there are than anybody kept.
	unkept int
}

// text is the section with n of its rows.
func (s section) text(n int) string {
	var b strings.Builder
	if s.fold {
		fmt.Fprintf(&b, "<details><summary>%s: %s</summary>\n\n", s.title, cmp.Or(s.count, strconv.Itoa(len(s.rows)+s.unkept)))
	}
	b.WriteString(s.head)
	for _, row := range s.rows[:n] {
		b.WriteString(row)
	}
	if more := len(s.rows) + s.unkept - n; more > 0 {
		fmt.Fprintf(&b, "\n…and %d more: %s\n", more, s.where)
	}
	if s.fold {
		b.WriteString("\n</details>\n")
	}
	return b.String()
}

// shown is how many rows there are when there is room.
func (s section) shown() int {
	if s.most > 0 {
		return min(len(s.rows), s.most)
	}
	return len(s.rows)
}

// whole is the size of the section when there is room, with what parts it from the next.
func (s section) whole() int { return size(s.text(s.shown())) + 1 }

// fitting is the section with as many rows as have room; false: none has.
func (s section) fitting(room int) (string, bool) {
	n, all := 0, s.shown()
	if text := s.text(all); size(text) <= room {
		return text, true
	}
	for frame := size(s.text(0)); n < all; n++ {
		if frame += size(s.rows[n]); frame > room {
			break
		}
	}
	return s.text(n), n > 0
}

// compose puts a comment together in at most limit characters. The first line
// and the last stand always. What has too little room is cut by rows or left
// out, and a line says so; a section takes at most half of the room that is
// left, so that a long table does not push out the risks below it.
func compose(first string, sections []section, last string, limit int) string {
	sections = slices.DeleteFunc(sections, func(s section) bool { return len(s.rows) == 0 })
	room := limit - size(first) - size(last) - size(leftOut(sections)) - 4
	rest := 0
	for _, s := range sections {
		rest += s.whole()
	}
	parts := []string{first + "\n"}
	var out []section
	for _, s := range sections {
		share := room / 2
		if rest <= room {
			share = room
		}
		rest -= s.whole()
		text, ok := s.fitting(share - 1)
		if !ok {
			out = append(out, s)
			continue
		}
		room -= size(text) + 1
		parts = append(parts, text)
	}
	if len(out) > 0 {
		parts = append(parts, leftOut(out))
	}
	whole := strings.Join(append(parts, last), "\n")
	for _, body := range []string{whole, first + "\n\n" + last, first, "…"} {
		if size(body) <= limit {
			return body
		}
	}
	return ""
}

// leftOut names sections that had no room, by where else they are.
func leftOut(sections []section) string {
	var wheres, names []string
	for _, s := range sections {
		name := strings.ToLower(s.title)
		if i := slices.Index(wheres, s.where); i >= 0 {
			names[i] += ", " + name
		} else {
			wheres, names = append(wheres, s.where), append(names, name)
		}
	}
	for i := range names {
		names[i] += " (" + wheres[i] + ")"
	}
	return "Left out for length: " + strings.Join(names, "; ") + ".\n"
}
