package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/meshwright/meshwright/cmd/meshwright-load/internal/envoys"
	"github.com/meshwright/meshwright/cmd/meshwright-load/internal/peer"
	"github.com/meshwright/meshwright/xds"
)

const (
	limit    = 3 * time.Minute // of anything that is waited for
	changing = 3               // the service whose weight changes
)

var percents = [2]int{50, 60}

// measure runs a row: the daemon first, then each peer, never two at a time.
func measure(ctx context.Context, row Row, cmd runCmd) (Result, error) {
	res := Result{Row: row, When: time.Now().UTC().Truncate(time.Second), Load: loadAverage(),
		Machine: fmt.Sprintf("%d cores, %s, %s/%s", runtime.NumCPU(), runtime.Version(), runtime.GOOS, runtime.GOARCH)}
	dir := cmd.Keep
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "meshwright-load-"); err != nil {
			return res, err
		}
		defer os.RemoveAll(dir)
	} else {
		dir = filepath.Join(dir, row.Name)
	}
	repo, err := newRepository(ctx, dir, row.Mesh)
	if err != nil {
		return res, err
	}
	proxies := nodes(row)
	if err := res.daemon(ctx, cmd, dir, repo, proxies); err != nil {
		return res, err
	}
	if len(row.Peers) == 0 {
		return res, nil
	}
	whole, err := newWorld(ctx, row, proxies, changing, percents)
	if err != nil {
		return res, err
	}
	parts, err := whole.Split()
	if err != nil {
		return res, err
	}
	for _, kind := range row.Peers {
		w := parts
		var names []map[xds.Type][]string
		switch kind {
		case peer.Snapshot:
			w = whole
		case peer.Linear:
			names = w.Names()
		}
		c, err := res.peer(ctx, dir, kind, w, proxies, names)
		if err != nil {
			return res, fmt.Errorf("peer %s: %w", kind, err)
		}
		res.Runs = append(res.Runs, c)
	}
	return res, nil
}

// daemon measures the daemon: a start with nothing kept, the streams, the
// changes, and a start with what it has kept.
func (res *Result) daemon(ctx context.Context, cmd runCmd, dir string, repo *repository, proxies []envoys.Node) error {
	d, took, err := startDaemon(ctx, cmd.Meshwright, dir, repo, cmd.Serve)
	if err != nil {
		return err
	}
	res.Cold.Took = took
	if res.Cold.Usage, err = d.Usage(); err != nil {
		d.Stop()
		return err
	}
	if res.Streams > 0 {
		run, err := res.changes(ctx, d, repo, proxies)
		if err != nil {
			d.Stop()
			return err
		}
		res.Runs = append(res.Runs, run)
	}
	d.Stop()
	if d, took, err = startDaemon(ctx, cmd.Meshwright, dir, repo, cmd.Serve); err != nil {
		return err
	}
	defer d.Stop()
	res.Warm.Took = took
	res.Warm.Usage, err = d.Usage()
	return err
}

// changes connects the streams to the daemon and pushes commits.
func (res *Result) changes(ctx context.Context, d *daemon, repo *repository, proxies []envoys.Node) (Run, error) {
	run := Run{Who: "meshwright"}
	fleet, err := run.storm(ctx, d.child, envoys.Config{Address: d.xds, Nodes: proxies, SotW: res.SotW, VirtualHosts: !res.SotW && !res.Whole}, res.Listen)
	if err != nil {
		return run, err
	}
	defer fleet.Close()
	for i := range res.Changes {
		if err := repo.weigh(ctx, changing, percents[(i+1)%2]); err != nil {
			return run, err
		}
		begin := time.Now()
		if err := repo.push(ctx); err != nil {
			return run, err
		}
		pushed := time.Since(begin)
		before, err := d.clocks(ctx)
		if err != nil {
			return run, err
		}
		change, err := run.change(ctx, d.child, fleet, touched(res.Row, changing), res.Listen, func() error { return d.webhook(ctx) })
		if err != nil {
			return run, err
		}
		after, err := d.clocks(ctx)
		if err != nil {
			return run, err
		}
		published, err := d.published()
		if err != nil {
			return run, err
		}
		s := &Stages{
			Push: pushed, Fetch: after.fetch - before.fetch, Load: after.load - before.load,
			Translate: after.publish - before.publish - (after.handOver - before.handOver), Publish: after.handOver - before.handOver,
		}
		s.Rest = published.Sub(change.began) - s.Fetch - s.Load - s.Translate - s.Publish
		s.Wire = change.Last - published.Sub(change.began)
		change.Stages = s
		change.Known = change.Last - s.Rest - s.Fetch - s.Load
		run.Changes = append(run.Changes, change)
	}
	return run, nil
}

// peer measures one peer.
func (res *Result) peer(ctx context.Context, dir, kind string, w *peer.World, proxies []envoys.Node, names []map[xds.Type][]string) (Run, error) {
	run := Run{Who: kind}
	file := filepath.Join(dir, kind+".world")
	if err := w.Save(file); err != nil {
		return run, err
	}
	self, err := os.Executable()
	if err != nil {
		return run, err
	}
	c, err := start(filepath.Join(dir, kind+".log"), self, "peer", kind, file)
	if err != nil {
		return run, err
	}
	defer c.Stop()
	line, err := c.line(ctx)
	if err != nil {
		return run, err
	}
	var address string
	if _, err := fmt.Sscanf(line, "ready: %s", &address); err != nil {
		return run, fmt.Errorf("it said %q", line)
	}
	fleet, err := run.storm(ctx, c, envoys.Config{Address: address, Nodes: proxies, SotW: res.SotW, Names: names}, res.Listen)
	if err != nil {
		return run, err
	}
	defer fleet.Close()
	for range res.Changes {
		change, err := run.change(ctx, c, fleet, touched(res.Row, changing), res.Listen, func() error {
			_, err := fmt.Fprintln(c.in, "change")
			return err
		})
		if err != nil {
			return run, err
		}
		if _, err := c.line(ctx); err != nil {
			return run, err
		}
		change.Known = change.Last
		run.Changes = append(run.Changes, change)
	}
	return run, nil
}

// storm connects all streams at once and waits until each has all it needs, and
// then for what may be left.
func (run *Run) storm(ctx context.Context, c *child, config envoys.Config, listen time.Duration) (*envoys.Fleet, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	runtime.GC() // what came before is no part of it
	before, err := c.Usage()
	if err != nil {
		return nil, err
	}
	own := ownCPU()
	fleet := envoys.Connect(context.WithoutCancel(ctx), config)
	if err := fleet.Settled(ctx); err != nil {
		fleet.Close()
		return nil, err
	}
	run.Storm = newArrival(fleet.Began(), fleet.Counts(), nil)
	time.Sleep(listen)
	after, err := c.Usage()
	if err != nil {
		fleet.Close()
		return nil, err
	}
	run.Storm.Own = ownCPU() - own
	run.Storm.CPU, run.Memory, run.Peak = after.CPU-before.CPU, after.Memory, after.Peak
	return fleet, nil
}

// change makes a change and waits until all that it is one for have taken it,
// and then for what nobody should get.
func (run *Run) change(ctx context.Context, c *child, fleet *envoys.Fleet, touched []int, listen time.Duration, make func() error) (Change, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	before, err := c.Usage()
	if err != nil {
		return Change{}, err
	}
	own := ownCPU()
	all := fleet.Expect(touched)
	began := time.Now()
	if err := make(); err != nil {
		return Change{}, err
	}
	if err := fleet.Await(ctx, all); err != nil {
		return Change{}, err
	}
	time.Sleep(listen)
	after, err := c.Usage()
	if err != nil {
		return Change{}, err
	}
	change := Change{Arrival: newArrival(began, fleet.Counts(), touched), began: began}
	change.CPU, change.Own = after.CPU-before.CPU, ownCPU()-own
	run.Memory, run.Peak = max(run.Memory, after.Memory), after.Peak
	return change, nil
}

// newArrival sums up what streams got since a time. Of a change, those that it
// is one for are given; nil: all.
func newArrival(began time.Time, counts []envoys.Count, touched []int) Arrival {
	var a Arrival
	var took []time.Duration
	for i, c := range counts {
		if touched != nil {
			if _, is := slices.BinarySearch(touched, i); !is {
				if c.Responses > 0 {
					a.Untouched++
				}
				continue
			}
		}
		a.Streams++
		a.Responses += float64(c.Responses)
		a.Bytes += float64(c.Bytes)
		took = append(took, c.Last.Sub(began))
	}
	if a.Streams == 0 {
		return a
	}
	slices.Sort(took)
	a.First, a.Median, a.Last = took[0], took[len(took)/2], took[len(took)-1]
	a.Responses /= float64(a.Streams)
	a.Bytes /= float64(a.Streams)
	return a
}
