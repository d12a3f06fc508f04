package main

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/meshwright/meshwright/cmd/meshwright-load/internal/peer"
)

// panel is one picture of growth, both of its axes logarithmic.
type panel struct {
	title, unit, over string
	series            []series
}

// series is one control plane in a panel.
type series struct {
	who    string
	points []point
}

type point struct{ x, y float64 }

// growth are the panels of the rows that grow: on the left with services, on the
// right with streams.
func growth(results []Result) []panel {
	const services, streams = "services", "streams"
	known := func(_ Result, r Run) float64 { return ms(r.middle().Known) }
	memory := func(_ Result, r Run) float64 { return float64(r.Memory) / 1e6 }
	var panels []panel
	for _, p := range []struct {
		over, title, unit string
		of                func(Result, Run) float64
	}{
		{services, "a change, until the last ACK", "ms of known", known},
		{streams, "a change, until the last ACK", "ms of known", known},
		{services, "a start with nothing kept", "s", func(res Result, _ Run) float64 { return res.Cold.Took.Seconds() }},
		{streams, "the storm: all connect at once", "s", func(_ Result, r Run) float64 { return r.Storm.Last.Seconds() }},
		{services, "memory", "MB", memory},
		{streams, "memory", "MB", memory},
	} {
		drawn := panel{title: p.title, unit: p.unit, over: p.over}
		for _, who := range []string{"meshwright", peer.Floor} {
			s := series{who: who}
			for _, res := range results {
				r := res.run(who)
				if res.Grows != p.over || r == nil {
					continue
				}
				x := res.Streams
				if p.over == services {
					x = res.Mesh.Services
				}
				s.points = append(s.points, point{float64(x), p.of(res, *r)})
			}
			slices.SortFunc(s.points, func(a, b point) int { return cmp.Compare(a.x, b.x) })
			if len(s.points) > 0 {
				drawn.series = append(drawn.series, s)
			}
		}
		panels = append(panels, drawn)
	}
	return panels
}

// The sizes of a panel.
const (
	wide, high = 380, 220
	left, top  = 52, 40
	plotWide   = wide - left - 84 // room for the names at the lines' ends
	plotHigh   = high - top - 36
)

// draw writes the panels, two in a row, as an SVG that is readable on light and
// on dark pages.
func draw(out io.Writer, panels []panel) {
	w, h := 2*wide, (len(panels)+1)/2*high
	fmt.Fprintf(out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="How cost grows with services and with streams">
<style>
text { font: 11px system-ui, sans-serif; fill: #57606a } .title { font-weight: 600; fill: #1f2328 }
.grid { stroke: #d0d7de; stroke-width: 1 } .line { fill: none; stroke-width: 2 }
.meshwright { stroke: #0969da; fill: #0969da } .floor { stroke: #9a6700; fill: #9a6700 } text.meshwright, text.floor { stroke: none } .line { fill: none }
@media (prefers-color-scheme: dark) {
text { fill: #9198a1 } .title { fill: #f0f6fc } .grid { stroke: #3d444d }
.meshwright { stroke: #4493f8; fill: #4493f8 } .floor { stroke: #d29922; fill: #d29922 } .line { fill: none }
}
</style>
`, w, h, w, h)
	for i, p := range panels {
		fmt.Fprintf(out, "<g transform=\"translate(%d %d)\">\n", i%2*wide, i/2*high)
		p.draw(out)
		fmt.Fprintln(out, "</g>")
	}
	fmt.Fprintln(out, "</svg>")
}

func (p panel) draw(out io.Writer) {
	fmt.Fprintf(out, "<text class=\"title\" x=\"%d\" y=\"16\">%s (%s)</text>\n", left, p.title, p.unit)
	var xs, ys []float64
	for _, s := range p.series {
		for _, at := range s.points {
			xs, ys = append(xs, at.x), append(ys, at.y)
		}
	}
	if len(xs) == 0 {
		fmt.Fprintf(out, "<text x=\"%d\" y=\"%d\">not measured</text>\n", left, top+plotHigh/2)
		return
	}
	x, y := measured(xs, plotWide), decades(ys, plotHigh)
	for _, v := range y.ticks {
		at := float64(top+plotHigh) - y.at(v)
		fmt.Fprintf(out, "<path class=\"grid\" d=\"M%d %.1fh%d\"/><text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%g</text>\n", left, at, plotWide, left-6, at+4, v)
	}
	for _, v := range x.ticks {
		at := float64(left) + x.at(v)
		fmt.Fprintf(out, "<path class=\"grid\" d=\"M%.1f %dv4\"/><text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.0f</text>\n", at, top+plotHigh, at, top+plotHigh+16, v)
	}
	fmt.Fprintf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">%s</text>\n", left+plotWide/2, top+plotHigh+30, p.over)
	taken := math.Inf(-1) // where the last name stands
	for _, s := range p.series {
		var path strings.Builder
		var px, py float64
		for i, v := range s.points {
			px, py = float64(left)+x.at(v.x), float64(top+plotHigh)-y.at(v.y)
			fmt.Fprintf(&path, "%c%.1f %.1f", "ML"[min(i, 1)], px, py)
			fmt.Fprintf(out, "<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"3\"><title>%s, %g %s: %.3g %s</title></circle>\n", s.who, px, py, s.who, v.x, p.over, v.y, p.unit)
		}
		name := py + 4
		if math.Abs(name-taken) < 13 {
			name = taken + 13
		}
		taken = name
		fmt.Fprintf(out, "<path class=\"line %s\" d=\"%s\"/><text class=\"%s\" x=\"%.1f\" y=\"%.1f\">%s</text>\n", s.who, path.String(), s.who, px+8, name, s.who)
	}
}

// axis maps values onto a length, by their logarithms.
type axis struct {
	from, to, length float64 // the ends are logarithms
	ticks            []float64
}

// measured is an axis with a tick for each value.
func measured(values []float64, length float64) axis {
	ticks := slices.Compact(slices.Sorted(slices.Values(values)))
	return axis{math.Log10(ticks[0]), math.Log10(ticks[len(ticks)-1]), length, ticks}
}

// decades is an axis with a tick for each power of ten, from below the least
// value to above the greatest.
func decades(values []float64, length float64) axis {
	a := axis{math.Floor(logarithm(slices.Min(values))), math.Ceil(logarithm(slices.Max(values))), length, nil}
	a.to = max(a.to, a.from+1)
	for e := a.from; e <= a.to; e++ {
		a.ticks = append(a.ticks, math.Pow(10, e))
	}
	return a
}

// logarithm of a value; those that are next to nothing, a figure cannot show.
func logarithm(v float64) float64 { return math.Log10(max(v, 1e-3)) }

func (a axis) at(v float64) float64 {
	if a.to == a.from {
		return 0
	}
	return (logarithm(v) - a.from) / (a.to - a.from) * a.length
}
