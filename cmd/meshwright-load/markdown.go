package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

type reportCmd struct {
	Results []string `arg:"" type:"existingfile" help:"What run has written with --json."`
	SVG     string   `name:"svg" type:"path" placeholder:"FILE" help:"Draw the rows of growth into this file."`
}

// Run prints the report that docs/performance.md holds.
func (cmd reportCmd) Run(out io.Writer) error {
	results, err := readResults(cmd.Results)
	if err != nil {
		return err
	}
	markdown(out, results, cmd.SVG)
	if cmd.SVG == "" {
		return nil
	}
	var b strings.Builder
	draw(&b, growth(results))
	return os.WriteFile(cmd.SVG, []byte(b.String()), 0o644)
}

// readResults reads files of results. Of a row that is in several, the last one
// counts.
func readResults(files []string) ([]Result, error) {
	var all []Result
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var some []Result
		if err := json.Unmarshal(b, &some); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		for _, r := range some {
			if row, ok := rowNamed(r.Name); ok {
				r.Aims = row.Aims // which the file does not have
			}
			all = slices.DeleteFunc(all, func(o Result) bool { return o.Name == r.Name && o.SotW == r.SotW })
			all = append(all, r)
		}
	}
	return all, nil
}

// markdown prints results: a table of each row, the aims of all, and how cost
// grows.
func markdown(out io.Writer, results []Result, picture string) {
	for _, r := range results {
		if len(r.Runs) > 0 && r.Grows == "" {
			r.markdown(out)
		}
	}
	table(out, "aim", "is", "")
	for _, r := range results {
		for _, v := range r.verdicts() {
			is := fmt.Sprintf("%.3g", v.Is)
			if v.Of != "" {
				is += " ×"
			}
			row(out, fmt.Sprintf("`%s`: %s", r.Name, v.Limit()), is, v.Word())
		}
	}
	fmt.Fprintln(out)
	if slices.ContainsFunc(results, func(r Result) bool { return r.Grows != "" }) {
		if picture != "" {
			fmt.Fprintf(out, "![How cost grows](%s)\n\n", picture[strings.LastIndexByte(picture, '/')+1:])
		}
		growthTable(out, results)
	}
}

// markdown prints one row.
func (res *Result) markdown(out io.Writer) {
	fmt.Fprintf(out, "### `%s`\n\n%s\n\n", res.Name, res.title())
	table(out, "", "storm", "its CPU", "memory", "last ACK of known", "CPU of a change", "to a touched stream", "untouched")
	for _, r := range res.Runs {
		c := r.middle()
		least, most := r.spread()
		row(out, r.Who, seconds(r.Storm.Last), seconds(r.Storm.CPU), mb(r.Memory),
			fmt.Sprintf("%s (%s to %s)", millis(c.Known), millis(least), millis(most)), millis(r.cpu()), fmt.Sprintf("%.1f kB", c.Bytes/1e3), fmt.Sprint(r.untouched()))
	}
	fmt.Fprintln(out)
	if c := res.Runs[0].middle(); c.Stages != nil {
		s := c.Stages
		fmt.Fprintf(out, "Stages: fetch %s, load %s, translate %s, publish %s, wire %s, rest %s: %s from the webhook to the last of %d ACKs.\n\n",
			millis(s.Fetch), millis(s.Load), millis(s.Translate), millis(s.Publish), millis(s.Wire), millis(s.Rest), millis(c.Last), c.Streams)
	}
}

// growthTable has a line for each row of growth.
func growthTable(out io.Writer, results []Result) {
	table(out, "row", "cold start", "storm", "its CPU", "webhook to last ACK", "of known", "CPU of a change", "touched", "memory", "floor: of known", "memory")
	for _, r := range results {
		if r.Grows == "" || len(r.Runs) == 0 {
			continue
		}
		ours, theirs := r.Runs[0], []string{"", ""}
		if f := r.run("floor"); f != nil {
			theirs = []string{millis(f.middle().Known), mb(f.Memory)}
		}
		c := ours.middle()
		row(out, append([]string{"`" + r.Name + "`", seconds(r.Cold.Took), seconds(ours.Storm.Last), seconds(ours.Storm.CPU), millis(c.Last), millis(c.Known),
			millis(ours.cpu()), fmt.Sprint(c.Streams), mb(ours.Memory)}, theirs...)...)
	}
	fmt.Fprintln(out)
}

func table(out io.Writer, heads ...string) {
	row(out, heads...)
	row(out, slices.Repeat([]string{"---"}, len(heads))...)
}

func row(out io.Writer, cells ...string) { fmt.Fprintf(out, "| %s |\n", strings.Join(cells, " | ")) }

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

func millis(d time.Duration) string {
	if d >= 100*time.Millisecond {
		return fmt.Sprintf("%.0f ms", ms(d))
	}
	return fmt.Sprintf("%.1f ms", ms(d))
}
