package reconciler

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/meshwright/meshwright/reconciler/plan"
	"github.com/meshwright/meshwright/reconciler/report"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/sources"
	"github.com/meshwright/meshwright/xds"
)

var noon = time.Date(2026, 9, 30, 12, 0, 0, 0, time.UTC)

// busy is a state and a sight in which everything there is happens: commits of
// the branch, good and bad, pull requests, refusals, statuses in all conditions.
func busy(commits, diagnostics int) (State, Seen) {
	r := rules{forge: true, limits: sources.Limits{Comment: 65000}, compose: report.Comment}
	s := State{Format: format, Pulls: map[int]*Pull{}}
	found := make(schema.Diagnostics, diagnostics)
	for i := range found {
		found[i] = schema.Diagnostic{Code: schema.CodeRange, Severity: schema.Error, Pos: schema.Pos{File: "a.yaml", Line: i + 1}, What: "101 is out of range (0 to 100)"}
	}
	seen := Seen{Open: &Open{List: 1}}
	var heads []Loaded
	for i := range commits {
		l := Loaded{Revision: sources.Revision{Commit: fmt.Sprintf("%040x", i), Title: "a change", Author: "Ann", When: noon}, Documents: 14, Spec: schema.NewSpec()}
		switch i % 4 {
		case 1:
			l.Spec, l.Diagnostics = nil, found
		case 2:
			l.Spec, l.Diagnostics = nil, found[:len(found)/10]
			seen.Open.Pulls = append(seen.Open.Pulls, sources.PullRequest{Number: i + 1, Head: l.Revision.Commit, Title: "a change"})
			heads = append(heads, l)
			continue
		case 3:
			l.Diagnostics = slices.Clone(found)
			for i := range l.Diagnostics {
				l.Diagnostics[i].Severity = schema.Warning
			}
		}
		seen.Loaded = append(seen.Loaded, l)
	}
	s, do := r.decide(s, seen, noon)
	seen.Published = s.Good
	for _, l := range heads {
		j := Job{Head: l.Revision.Commit, Basis: Basis{Base: s.Head, Serving: s.Good, Files: []string{"a.yaml"}}}
		seen.Planned = append(seen.Planned, Planned{Job: j, Loaded: l, Plan: &plan.Plan{}})
	}
	seen.Loaded = nil
	s, do = r.decide(s, seen, noon)
	for i, w := range do.Writes {
		a := Written{Write: w}
		if i%5 == 4 {
			a.Refused = errors.New("no such commit")
		}
		if i%5 > 0 {
			seen.Written = append(seen.Written, a)
		}
	}
	seen.Planned = nil
	seen.Progress = xds.Progress{Commit: s.Good, Touched: 100, Applied: 99, Rejected: []xds.Rejection{{Proxy: "web-1", Type: xds.Listener, NACK: xds.NACK{Commit: s.Good, Message: "no such filter", At: noon}}}}
	s, _ = r.decide(s, seen, noon.Add(time.Minute))
	seen.Written = nil
	return s, seen
}

// FuzzState: what stands on the disk is read or refused, and what was read can
// be decided upon and comes back from the disk as it is.
func FuzzState(f *testing.F) {
	s, _ := busy(8, 3)
	whole, err := json.Marshal(s)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add([]byte(`{"format":1,"head":"","good":"","records":null}`))
	f.Add([]byte(`{"format":1,"good":"a","records":[{"commit":"a","branch":true,"result":"good","applied":{"status":{"state":"failure"}}}]}`))
	f.Add([]byte(`{"format":1,"good":"a","records":[{"commit":"a"}]}`))
	f.Add([]byte(`{"format":1,"records":[{"commit":""}]}`))
	f.Add([]byte(`{"format":2}`))
	f.Add([]byte(`{"format":1,"good":"a","taken":"a","pushes":3,"records":[{"commit":"a","branch":true,"result":"good","applied":{"status":{"state":"pending"}}}],` +
		`"rollouts":{"shop/api":{"rollout":{"kind":"Rollout","namespace":"shop","name":"api"},"at":"a","stable":"b","run":{"phase":"watching","base":"b","target":"a","weight":1000,"history":[{"phase":"waiting"}]}}},` +
		`"trials":{"shop/api#7":{"phase":"passed","target":"c","pull":7},"x":null},"asks":{"8":{"head":"d","by":"ann"}}}`))
	f.Fuzz(func(t *testing.T, disk []byte) {
		s, err := readState(disk)
		if err != nil {
			return
		}
		seen := Seen{Published: s.Good, Progress: xds.Progress{Commit: s.Good, Touched: 1, Applied: 1}, Connected: 1, Open: &Open{List: 1, Pulls: []sources.PullRequest{{Number: 7, Head: "b"}}}}
		next, do := rules{forge: true}.decide(s, seen, noon)
		view("", next, seen, nil, time.Now())
		for _, w := range do.Writes {
			seen.Written = append(seen.Written, Written{Write: w})
		}
		next, _ = rules{forge: true}.decide(next, seen, noon.Add(time.Hour))
		b, err := json.Marshal(next)
		if err != nil {
			t.Fatal(err)
		}
		again, err := readState(b)
		if err != nil {
			t.Fatalf("%v: %s", err, b)
		}
		if diff := cmp.Diff(next, again, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(Slot{}, "Unsure"), cmpopts.IgnoreFields(State{}, "Pulls", "Moved", "Started"), cmpopts.EquateComparable(time.Time{})); diff != "" {
			t.Errorf("another state came back (-saved +loaded):\n%s", diff)
		}
	})
}

// BenchmarkDecide is one turn of the loop on an ACK, the most frequent news,
// with as many commits as are kept; with its journal that finds nothing to
// write.
func BenchmarkDecide(b *testing.B) {
	for _, diagnostics := range []int{0, 50} {
		s, seen := busy(2*keepRecords, diagnostics)
		r := rules{forge: true}
		b.Run(fmt.Sprintf("%dcommits/%ddiagnostics", len(s.Records), diagnostics), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				next, _ := r.decide(s, seen, noon)
				view("", next, seen, nil, time.Now())
			}
		})
		b.Run(fmt.Sprintf("%dcommits/%ddiagnostics/journal", len(s.Records), diagnostics), func(b *testing.B) {
			j := &journal{pulls: map[int]kept{}}
			j.saved, _ = json.Marshal(s)
			for n, p := range s.Pulls {
				j.pulls[n] = kept{1, p}
			}
			b.SetBytes(int64(len(j.saved)))
			b.ReportAllocs()
			for b.Loop() {
				if err := j.save(b.Context(), s); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
