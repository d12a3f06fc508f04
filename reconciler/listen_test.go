package reconciler

import (
	"testing"
	"time"
)

// TestHeard: what was read is read, however late or out of order hosts show it,
// and a comment is forgotten only together with all that are older.
func TestHeard(t *testing.T) {
	at := func(s int) time.Time { return noon.Add(time.Duration(s) * time.Second) }
	h := Heard{Since: at(0)}
	for id, second := range []int{5, 30, 20, 64, 64} {
		if h.has(int64(id), at(second)) {
			t.Errorf("comment %d counts as read", id)
		}
		h = h.with(int64(id), at(second))
	}
	if want := at(4); !h.Since.Equal(want) || len(h.Lately) != 5 {
		t.Errorf("since %s (want %s) with %d comments (want 5)", h.Since, want, len(h.Lately))
	}
	next := h.with(9, at(90))
	if want := at(30); !next.Since.Equal(want) || len(next.Lately) != 4 {
		t.Errorf("since %s (want %s) with %d comments (want 4)", next.Since, want, len(next.Lately))
	}
	if len(h.Lately) != 5 {
		t.Error("what was read before has changed")
	}
	for id, second := range []int{5, 30, 20, 64, 64} {
		if !next.has(int64(id), at(second)) {
			t.Errorf("comment %d counts as new", id)
		}
	}
	if next.has(10, at(31)) || !next.has(10, at(29)) {
		t.Error("what is shown a minute late counts as new, or what is younger as read")
	}
}

// TestHeardIsBounded: a flood is forgotten from its begin, and never read twice.
func TestHeardIsBounded(t *testing.T) {
	var h Heard
	const many = 3 * keepHeard
	at := func(id int64) time.Time { return noon.Add(time.Duration(id/20) * time.Second) }
	for id := range int64(many) {
		h = h.with(id, at(id))
		if len(h.Lately) > keepHeard {
			t.Fatalf("%d comments are remembered", len(h.Lately))
		}
	}
	for id := range int64(many) {
		if !h.has(id, at(id)) {
			t.Fatalf("comment %d counts as new", id)
		}
	}
	if h.has(many, at(many)) {
		t.Error("the next one counts as read")
	}
}
