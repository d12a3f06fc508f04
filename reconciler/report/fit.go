package report

import (
	"fmt"
	"slices"
	"strings"
)

// section is a part of a comment that can be shortened by rows and left out.
type section struct {
	title string   // names it where it is left out; ours, never of others
	where string   // where all of it is to be seen
	fold  bool     // behind its title, and how many rows there are
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
		fmt.Fprintf(&b, "<details><summary>%s</summary>\n\n", s.summary())
	}
	b.WriteString(s.head)
	for _, row := range s.rows[:n] {
		b.WriteString(row)
	}
	if more := len(s.rows) + s.unkept - n; more > 0 {
		fmt.Fprintf(&b, "\n…and %s more: %s\n", thousands(more), s.where)
	}
	if s.fold {
		b.WriteString("\n</details>\n")
	}
	return b.String()
}

func (s section) summary() string {
	if n := len(s.rows) + s.unkept; n > 1 {
		return s.title + ": " + thousands(n)
	}
	return s.title
}

// fitting is the section with as many rows as have room; false: none has.
func (s section) fitting(room int) (string, bool) {
	all := len(s.rows)
	if s.most > 0 {
		all = min(all, s.most)
	}
	if text := s.text(all); size(text) <= room {
		return text, true
	}
	frame := size(s.text(0))
	n := 0
	for ; n < all; n++ {
		if frame += size(s.rows[n]); frame > room {
			break
		}
	}
	return s.text(n), n > 0
}

// compose puts a comment together in at most limit characters. The first line
// and the last stand always; sections are cut by rows, then left out from the
// bottom, and a line says so.
func compose(first string, sections []section, last string, limit int) string {
	sections = slices.DeleteFunc(sections, func(s section) bool { return len(s.rows) == 0 })
	room := limit - size(first) - size(last) - size(leftOut(sections)) - 3
	parts := []string{first + "\n"}
	var out []section
	for _, s := range sections {
		text, ok := s.fitting(room - 1)
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
	body := strings.Join(append(parts, last), "\n")
	for _, smaller := range []string{first + "\n\n" + last, first, "…"} {
		if size(body) <= limit {
			return body
		}
		body = smaller
	}
	return body[:min(len(body), max(limit, 0))]
}

// leftOut names sections that had no room.
func leftOut(sections []section) string {
	var names []string
	for _, s := range sections {
		names = append(names, fmt.Sprintf("%s (%s)", strings.ToLower(s.title), s.where))
	}
	return "Left out for length: " + strings.Join(names, ", ") + ".\n"
}

// thousands writes a number as people read it.
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
