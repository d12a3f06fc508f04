package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/meshwright/meshwright/cmd/internal/process"
)

// Result is what a row came to. In JSON, times are nanoseconds.
type Result struct {
	Row
	When time.Time `json:"when"`
	// Machine is its cores, and what the program was built with.
	Machine string `json:"machine"`
	Load    string `json:"load"` // averages of the machine when it began, by what else it does
	Cold    Start  `json:"cold"` // of the daemon with nothing kept
	Warm    Start  `json:"warm"` // and with its state
	Runs    []Run  `json:"runs"` // the daemon's, then its peers'
}

// Start is how a daemon starts: until it serves a spec.
type Start struct {
	Took time.Duration `json:"took"`
	process.Usage
}

// Run is one control plane with the row's streams.
type Run struct {
	Who     string   `json:"who"`
	Storm   Arrival  `json:"storm"`  // all streams connect at once
	Memory  int64    `json:"memory"` // resident bytes, the most after the storm or a change
	Peak    int64    `json:"peak"`
	Changes []Change `json:"changes"`
}

// Arrival is what came to streams, and when they had acknowledged the last of it.
type Arrival struct {
	Streams   int           `json:"streams"`
	Untouched int           `json:"untouched"` // streams that got something though nothing changed for them
	First     time.Duration `json:"first"`
	Median    time.Duration `json:"median"`
	Last      time.Duration `json:"last"`
	Responses float64       `json:"responses"` // a stream
	Bytes     float64       `json:"bytes"`     // a stream
	CPU       time.Duration `json:"cpu"`       // of the control plane
	Own       time.Duration `json:"own"`       // CPU of the streams themselves, on the same machine
}

// Change is one commit: times are from the webhook. Of a peer they are from when
// it is told.
type Change struct {
	Arrival
	// Known is the last acknowledgement, from when the new weight was known:
	// loaded and decided on, but not yet translated.
	Known  time.Duration `json:"known"`
	Stages *Stages       `json:"stages,omitempty"` // the daemon's
	began  time.Time
}

// Stages are where the time went. Push is before the webhook; all others add up
// to the last acknowledgement.
type Stages struct {
	Push      time.Duration `json:"push"`      // git's own, until the repository has the commit
	Fetch     time.Duration `json:"fetch"`     // of the daemon, with the check of what it brought
	Load      time.Duration `json:"load"`      // with validation, and making all proxies' resources once to verify
	Translate time.Duration `json:"translate"` // for the connected proxies
	Publish   time.Duration `json:"publish"`   // to their streams
	Wire      time.Duration `json:"wire"`      // until the last acknowledgement
	Rest      time.Duration `json:"rest"`      // the webhook, deciding, saving
}

// middle is the change with the median time.
func (r Run) middle() Change {
	if len(r.Changes) == 0 {
		return Change{}
	}
	sorted := slices.SortedFunc(slices.Values(r.Changes), func(a, b Change) int { return int(a.Known - b.Known) })
	return sorted[len(sorted)/2]
}

// run returns the run of a control plane, nil if there was none.
func (res *Result) run(who string) *Run {
	i := slices.IndexFunc(res.Runs, func(r Run) bool { return r.Who == who })
	if i < 0 {
		return nil
	}
	return &res.Runs[i]
}

// spread is the least and the most of the changes.
func (r Run) spread() (least, most time.Duration) {
	for i, c := range r.Changes {
		if i == 0 {
			least = c.Known
		}
		least, most = min(least, c.Known), max(most, c.Known)
	}
	return least, most
}

// cpu is what a change costs, on average: one alone is told in steps of 10 ms.
func (r Run) cpu() time.Duration {
	var sum time.Duration
	for _, c := range r.Changes {
		sum += c.CPU
	}
	return sum / time.Duration(max(len(r.Changes), 1))
}

// title says what was measured, when, and on what.
func (res *Result) title() string {
	protocol, form := "delta", "YAML"
	if res.SotW {
		protocol = "state of the world"
	}
	if res.Mesh.CUE {
		form = "CUE"
	}
	m := res.Mesh
	return fmt.Sprintf("%d services, %d identities with %d backends each, %d resources of %s; %d streams (%s). %s UTC, load average %s, %s.",
		m.Services, len(m.Identities()), m.Backends, m.Resources(), form, res.Streams, protocol, res.When.Format("2006-01-02 15:04"), res.Load, res.Machine)
}

// write prints the result for people.
func (res *Result) write(out io.Writer) {
	fmt.Fprintf(out, "\n%s: %s\n", res.Name, res.title())
	fmt.Fprintf(out, "  cold start %.2f s (CPU %.2f s, peak %s), warm start %.2f s (CPU %.2f s, peak %s)\n",
		res.Cold.Took.Seconds(), res.Cold.CPU.Seconds(), mb(res.Cold.Peak), res.Warm.Took.Seconds(), res.Warm.CPU.Seconds(), mb(res.Warm.Peak))
	if len(res.Runs) > 0 {
		res.table(out)
	}
	for _, v := range res.verdicts() {
		fmt.Fprintf(out, "  aim: %s: %.3g, %s\n", v.Limit(), v.Is, v.Word())
	}
}

// table prints a line for each control plane, and the daemon's stages.
func (res *Result) table(out io.Writer) {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "  \tstorm ms\tCPU s\tstreams' own\tkB/stream\tmemory\tpeak\ttouched\tfirst ms\tmedian\tlast ACK\tof known\t(of all)\tkB/stream\tresponses\tCPU ms\town\tuntouched\t")
	for _, r := range res.Runs {
		c := r.middle()
		least, most := r.spread()
		fmt.Fprintf(t, "  %s\t%.0f\t%.2f\t%.2f\t%.1f\t%s\t%s\t%d\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f-%.1f\t%.2f\t%.2f\t%.0f\t%.0f\t%d\t\n", r.Who, ms(r.Storm.Last), r.Storm.CPU.Seconds(), r.Storm.Own.Seconds(), r.Storm.Bytes/1e3,
			mb(r.Memory), mb(r.Peak), c.Streams, ms(c.First), ms(c.Median), ms(c.Last), ms(c.Known), ms(least), ms(most), c.Bytes/1e3, c.Responses, ms(r.cpu()), ms(c.Own), r.untouched())
	}
	t.Flush() // out is standard output: an error there is nobody's to hear
	if s := res.Runs[0].middle().Stages; s != nil {
		fmt.Fprintf(out, "  stages (ms): push %.1f | rest %.1f, fetch %.1f, load %.1f, translate %.1f, publish %.1f, wire %.1f\n",
			ms(s.Push), ms(s.Rest), ms(s.Fetch), ms(s.Load), ms(s.Translate), ms(s.Publish), ms(s.Wire))
	}
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func mb(bytes int64) string { return fmt.Sprintf("%.0f MB", float64(bytes)/1e6) }
