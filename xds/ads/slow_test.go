package ads

import (
	"bytes"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/meshwright/meshwright/xds"
)

func TestSlowReadersDelayNobody(t *testing.T) {
	s, address, _ := local(t, Config{})
	big := func(version string) *xds.Resources {
		return resources(dns("a", strings.Repeat(version, 3<<20), 1)) // more than a window takes
	}
	s.Publish(one("c0", big("x")))
	slow := connect(t, dial(t, address), "slow", nil, true)
	slow.ask(xds.Cluster)
	quick := connect(t, dial(t, address), "quick", nil, false)
	quick.ask(xds.Cluster)
	quick.receive("+a", "")
	for i := range 5 {
		s.Publish(one(fmt.Sprint("c", i+1), big(fmt.Sprint(i))))
		if r := quick.receive("+a", ""); r.GetControlPlane().GetIdentifier() != fmt.Sprint("c", i+1) {
			t.Fatalf("got %v", r.GetControlPlane())
		}
	}
	for _, p := range s.Proxies() {
		if sent := p.Types[xds.Cluster].Sent; p.ID == "slow" && sent > 2 { // one read by nobody, one that waits for it
			t.Errorf("%d responses queued for the slow proxy", sent)
		}
	}
}

// heap is how many bytes are alive.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestStuckReaders: of 200 commits, a proxy that reads nothing costs the memory
// of one or two, and it keeps neither the others nor the end from coming.
func TestStuckReaders(t *testing.T) {
	const size = 1 << 20
	big := func(i int) *xds.Resources {
		return resources(dns("a", strings.Repeat("x", size)+fmt.Sprint(i), 1))
	}
	s, address, stop := local(t, Config{Drain: 50 * time.Millisecond})
	s.Publish(one("c0", big(0)))
	for i := range 10 {
		connect(t, dial(t, address), fmt.Sprint("stuck-", i), nil, true).ask(xds.Cluster)
	}
	eventually(t, "stuck", func() error {
		if n := len(s.Proxies()); n != 10 {
			return fmt.Errorf("%d proxies", n)
		}
		return nil
	})
	quick := connect(t, dial(t, address), "quick", nil, false)
	quick.ask(xds.Cluster)
	quick.receive("+a", "")
	before := heap()
	for i := range 200 {
		s.Publish(one(fmt.Sprint("c", i+1), big(i+1)))
		quick.receive("+a", "")
	}
	if grown := heap() - before; grown > 20*size {
		t.Errorf("%d MiB more are alive after 200 MiB of commits", grown>>20)
	}
	began := time.Now()
	stop()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v to stop", took)
	}
}

// TestNeverAnswers: a proxy that reads and does not answer is sent no more than
// what is remembered of it, and then what is newest.
func TestNeverAnswers(t *testing.T) {
	for _, delta := range []bool{true, false} {
		x := newScript(t, delta)
		if delta {
			x.sub(xds.Cluster)
		} else {
			x.sotw(xds.Cluster, "", "")
		}
		sent := 0
		for i := range 200 {
			x.publish(label(fmt.Sprint("c", i)), dns("a", "127.0.0.1", 1+i))
			sent += len(x.s.next(x.now))
		}
		if w := &x.s.watches[xds.Cluster]; sent != maxFlight || len(w.flight) != maxFlight || len(w.moved) > maxMoved {
			t.Errorf("delta %v: %d sent, %d on their way, %d names have moved", delta, sent, len(w.flight), len(w.moved))
		}
		if delta {
			x.ack(xds.Cluster, "1")
		} else {
			x.sotw(xds.Cluster, "v", fmt.Sprint(sent))
		}
		out := x.s.next(x.now)
		if len(out) != 1 || len(out[0].resources) != 1 || out[0].resources[0].Version != x.s.want[xds.Cluster][0].Version {
			t.Errorf("delta %v: after an answer it sends %v", delta, out)
		}
	}
}

// TestSilentHoldsUpOnce: a proxy that callers have waited for in vain keeps no
// later change until it answers.
func TestSilentHoldsUpOnce(t *testing.T) {
	x := newPair(t, time.Second)
	x.publish("c2", a2, "TLS", "plain")
	late := <-x.server.got // and no answer
	x.caller.receive("+a", "")
	began := time.Now()
	x.publish("c3", a1, "TLS", "plain", "more")
	x.caller.receive("+a", "")
	if took := time.Since(began); took > x.s.patience {
		t.Errorf("the caller waited %v once more", took)
	}
	x.server.answer(late)
	x.server.receive("+in", "")
	done(t, x.s, "c3", 2)
	x.publish("c4", a2, "TLS", "plain", "more", "most")
	x.silent(x.caller, "before the server, which answers again, takes the new")
	x.server.receive("+in", "")
	x.caller.receive("+a", "")
	done(t, x.s, "c4", 2)
}

// TestLogsSayCommits: which of a rollout's states of a commit it was, a log does
// not say; the API's callers are told.
func TestLogsSayCommits(t *testing.T) {
	var log bytes.Buffer
	s, address, stop := local(t, Config{Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	s.Publish(one("c1+7", resources(a1)))
	p := connect(t, dial(t, address), "web-1", nil, false)
	p.ask(xds.Cluster)
	if r := p.receive("+a", ""); r.GetControlPlane().GetIdentifier() != "c1+7" {
		t.Errorf("control plane %v", r.GetControlPlane())
	}
	p.ask(xds.Listener)
	p.receive("", "")
	done(t, s, "c1+7", 1)
	s.Publish(one("c2+1", resources(a2)))
	p.receive("+a", "no")
	s.Publish(state{"c2+2", map[xds.Identity]*xds.Resources{}})
	connect(t, dial(t, address), "db-1", &corev3.Node{Cluster: db.String()}, false).ask(xds.Cluster)
	eventually(t, "notes", func() error {
		list := s.Proxies()
		if len(list) != 2 || list[0].Note == "" || list[1].Note == "" {
			return fmt.Errorf("%+v", list)
		}
		return nil
	})
	if note := s.Proxies()[1].Note; strings.Contains(note, "+") {
		t.Errorf("note %q", note)
	}
	stop()
	for _, commit := range []string{"commit=c1 ", "commit=c2 "} {
		if !strings.Contains(log.String(), commit) {
			t.Errorf("no line says %q", commit)
		}
	}
	if strings.Contains(log.String(), "c1+") || strings.Contains(log.String(), "c2+") {
		t.Errorf("it says which state of the commit:\n%s", log.String())
	}
}

// busy is a state that takes its time to translate, and counts for how many at
// once.
type busy struct {
	state
	now, most atomic.Int64
}

func (b *busy) Resources(p xds.Profile) (*xds.Resources, error) {
	n := b.now.Add(1)
	defer b.now.Add(-1)
	for most := b.most.Load(); n > most && !b.most.CompareAndSwap(most, n); {
		most = b.most.Load()
	}
	time.Sleep(time.Millisecond)
	return b.state.Resources(p)
}

// TestStorm: of all that come at once as many are translated for as there are
// cores, so that the first have all they need while others still wait.
func TestStorm(t *testing.T) {
	s, address, _ := local(t, Config{})
	b := &busy{state: one("c1", resources(a1))}
	s.Publish(b)
	var proxies []*proxy
	for i := range 60 {
		p := connect(t, dial(t, address), fmt.Sprint("web-", i), nil, false)
		p.ask(xds.Cluster)
		proxies = append(proxies, p)
	}
	for _, p := range proxies {
		p.receive("+a", "")
		p.ask(xds.Listener)
		p.receive("", "")
	}
	done(t, s, "c1", len(proxies))
	if most := b.most.Load(); most > int64(runtime.GOMAXPROCS(0)) {
		t.Errorf("%d were translated for at once", most)
	}
}
