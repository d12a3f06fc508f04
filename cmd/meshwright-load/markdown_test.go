package main

import (
	"encoding/json"
	"encoding/xml"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meshwright/meshwright/fixtures/scale"
)

// TestReport: results that were written are read again, the last of a row counts,
// and aims are those of the row.
func TestReport(t *testing.T) {
	run := func(who string, known time.Duration) Run {
		return Run{Who: who, Memory: 5e6, Storm: Arrival{Last: time.Second}, Changes: []Change{
			{Arrival: Arrival{Streams: 3, Last: known, Bytes: 1234, CPU: 20 * time.Millisecond}, Known: known, Stages: &Stages{Wire: known}},
			{Arrival: Arrival{Streams: 3, Last: known, Bytes: 1234, Untouched: 1}, Known: known + time.Millisecond, Stages: &Stages{Wire: known}},
		}}
	}
	grows := func(name string, streams int) Result {
		return Result{Row: Row{Name: name, Grows: "streams", Streams: streams}, Runs: []Run{run("meshwright", 30*time.Millisecond), run("floor", 20*time.Millisecond)}}
	}
	dir := t.TempDir()
	write := func(name string, list ...Result) string {
		b, err := json.Marshal(list)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	all := func(known time.Duration) Result {
		return Result{Row: Row{Name: "all", Mesh: scale.Mesh{Services: 4}}, Load: "0.5", Runs: []Run{run("meshwright", known), run("floor", 20*time.Millisecond)}}
	}
	cmd := reportCmd{Results: []string{write("old", all(time.Hour), grows("streams-100", 100)), write("new", all(30*time.Millisecond), grows("streams-1000", 1000))}, SVG: filepath.Join(dir, "growth.svg")}
	var out strings.Builder
	if err := cmd.Run(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"### `all`\n", "load average 0.5",
		"| meshwright | 1.00 s | 0.00 s | 5 MB | 31.0 ms (30.0 ms to 31.0 ms) | 10.0 ms | 1.2 kB | 1 |\n",
		"| `all`: last ACK at most 1.6 times floor | 1.48 × | met |\n",
		"![How cost grows](growth.svg)",
		"| `streams-100` | 0.00 s | 1.00 s | 0.00 s | 30.0 ms | 31.0 ms | 10.0 ms | 3 | 5 MB | 21.0 ms | 5 MB |\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it lacks %q:\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "snapshot") {
		t.Errorf("an aim that was not measured stands there:\n%s", out.String())
	}
	svg, err := os.ReadFile(cmd.SVG)
	if err != nil {
		t.Fatal(err)
	}
	circles := 0
	for d := xml.NewDecoder(strings.NewReader(string(svg))); ; {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "circle" {
			circles++
		}
	}
	if circles != 3*2*2 { // figures, rows, control planes
		t.Errorf("%d points, want 12:\n%s", circles, svg)
	}
}

// TestAxes: a decade is as long as another, and the values lie between the ends.
func TestAxes(t *testing.T) {
	a := decades([]float64{3, 250}, 300)
	if a.at(1) != 0 || a.at(10) != 100 || a.at(1000) != 300 || len(a.ticks) != 4 {
		t.Errorf("%+v: %v, %v", a, a.at(1), a.at(10))
	}
	if one := decades([]float64{10}, 300); one.at(10) != 0 || one.at(100) != 300 {
		t.Errorf("%+v", one)
	}
	a = measured([]float64{5000, 100, 100, 1000}, 300)
	if a.at(100) != 0 || a.at(5000) != 300 || len(a.ticks) != 3 {
		t.Errorf("%+v", a)
	}
}

// TestExpand: the rows that grow have one name together.
func TestExpand(t *testing.T) {
	list := expand([]string{"few", growing})
	if len(list) != 7 || list[0] != "few" || list[1] != "services-100" || list[6] != "streams-5000" {
		t.Errorf("%v", list)
	}
}
