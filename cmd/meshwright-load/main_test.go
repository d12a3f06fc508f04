package main

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meshwright/meshwright/cmd/meshwright-load/internal/envoys"
	"github.com/meshwright/meshwright/fixtures/scale"
)

// TestMain lets the test's program be the peers that it starts.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "peer" {
		main()
		return
	}
	os.Exit(m.Run())
}

// buildFlags build the daemon as the test is built, so that what is compiled
// already is compiled once.
var buildFlags []string

// TestSmoke measures a small row with the real daemon and all peers: what is
// told has to make sense, and nobody gets what is not for them.
func TestSmoke(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("there is no /proc here")
	}
	dir := t.TempDir()
	cmd := runCmd{Rows: []string{"smoke"}, JSON: filepath.Join(dir, "results.json"), Meshwright: filepath.Join(dir, "meshwright")}
	if out, err := exec.Command("go", append(append([]string{"build"}, buildFlags...), "-o", cmd.Meshwright, "../meshwright")...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, cmd.SotW = range []bool{false, true} {
		var out strings.Builder
		if err := cmd.Run(t.Context(), &out); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(cmd.JSON)
		if err != nil {
			t.Fatal(err)
		}
		var results []Result
		if err := json.Unmarshal(b, &results); err != nil {
			t.Fatal(err)
		}
		r := results[0]
		if len(results) != 1 || len(r.Runs) != 4 || r.Cold.Took <= 0 || r.Warm.Took <= 0 || r.Cold.Peak < 1<<20 {
			t.Fatalf("%s", b)
		}
		for _, run := range r.Runs {
			c := run.middle()
			if c.Streams != 10 || c.Untouched != 0 || c.Responses < 1 || c.Bytes < 1000 || c.First > c.Median || c.Median > c.Last || c.Known > c.Last || run.Storm.Streams != 20 || run.Memory < 1<<20 {
				t.Errorf("sotw %v, %s: %+v", cmd.SotW, run.Who, c)
			}
			if !strings.Contains(out.String(), run.Who) {
				t.Errorf("the text does not have %s:\n%s", run.Who, out.String())
			}
		}
		s := r.run("meshwright").middle().Stages
		sum := s.Rest + s.Fetch + s.Load + s.Translate + s.Publish + s.Wire
		if last := r.run("meshwright").middle().Last; sum != last || s.Fetch <= 0 || s.Load <= 0 || s.Translate <= 0 {
			t.Errorf("the stages are %+v, %v together; the last ACK came after %v", s, sum, last)
		}
	}
}

// TestTouched: streams are spread over the identities, and a change touches
// those of its users.
func TestTouched(t *testing.T) {
	row := Row{Mesh: scale.Mesh{Services: 5, Backends: 2}, Streams: 7}
	list := nodes(row)
	if list[0].Identity != list[5].Identity || list[0].ID == list[5].ID || list[0].Identity == list[1].Identity {
		t.Errorf("%v", list)
	}
	got := touched(row, 2) // called by 0 and 1
	if len(got) != 4 || got[0] != 0 || got[1] != 1 || got[2] != 5 || got[3] != 6 {
		t.Errorf("touched %v, want 0, 1, 5, 6", got)
	}
}

// TestArrival: what came to streams that nothing changed for is counted apart.
func TestArrival(t *testing.T) {
	at := time.Now()
	count := func(ms int) envoys.Count {
		return envoys.Count{Responses: 1, Bytes: 100, First: at, Last: at.Add(time.Duration(ms) * time.Millisecond)}
	}
	a := newArrival(at, []envoys.Count{count(5), count(9), {}, count(1), count(7)}, []int{0, 3, 4})
	if a.Streams != 3 || a.Untouched != 1 || a.First != time.Millisecond || a.Median != 5*time.Millisecond || a.Last != 7*time.Millisecond || a.Bytes != 100 {
		t.Errorf("%+v", a)
	}
}

// TestAims: a multiple of a peer's figure, or a figure; what was not measured is
// neither met nor missed.
func TestAims(t *testing.T) {
	took := func(ms int) []Change {
		d := time.Duration(ms) * time.Millisecond
		return []Change{{Arrival: Arrival{Last: d}, Known: d, Stages: &Stages{Wire: d}}}
	}
	r := Result{Row: Row{Aims: []Aim{{"last ACK", "floor", 1.6}, {"cold s", "", 1}, {"last ACK", "linear", 1}}}, Runs: []Run{{Who: "meshwright", Changes: took(30)}, {Who: "floor", Changes: took(20)}}}
	r.Cold.Took = 2 * time.Second
	var out strings.Builder
	r.write(&out)
	if text := out.String(); !strings.Contains(text, "last ACK at most 1.6 times floor: 1.5, met") || !strings.Contains(text, "cold s at most 1: 2, MISSED") || strings.Contains(text, "linear") {
		t.Errorf("%s", text)
	}
}

// TestRows: flags stand over rows, and rows that are none are told.
func TestRows(t *testing.T) {
	rows, err := runCmd{Rows: []string{"few"}, shape: shape{Services: 7, CUE: true}, Streams: 3, Peers: []string{"none"}}.rows()
	if err != nil || rows[0].Mesh.Services != 7 || rows[0].Mesh.Backends != 10 || !rows[0].Mesh.CUE || rows[0].Streams != 3 || rows[0].Peers != nil {
		t.Errorf("%+v, %v", rows, err)
	}
	if err := (runCmd{Rows: []string{"many"}}).Run(t.Context(), io.Discard); err == nil || !strings.Contains(err.Error(), "few, all, start") {
		t.Errorf("%v", err)
	}
}
