package translate_test

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/meshwright/meshwright/fixtures"
	"github.com/meshwright/meshwright/fixtures/scale"
	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
	"github.com/meshwright/meshwright/xds/ads"
	"github.com/meshwright/meshwright/xds/translate"
)

// BenchmarkEnvoyWeight is a weight on its way to a real Envoy that calls a
// hundred services: by whole routes, and by virtual hosts.
func BenchmarkEnvoyWeight(b *testing.B) {
	fixtures.Envoy(b)
	mesh := scale.Mesh{Services: 100, Callers: 1, Backends: 100}
	var specs [2]*schema.Spec
	for i := range specs {
		mesh.Weights = map[int]int{5: 50 + i}
		specs[i] = load(b, mesh.FS())
	}
	id, err := xds.ParseIdentity(mesh.Identity(0))
	if err != nil {
		b.Fatal(err)
	}
	for _, whole := range []bool{true, false} {
		b.Run(fmt.Sprintf("whole=%v", whole), func(b *testing.B) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			metrics := prometheus.NewRegistry()
			s, err := ads.New(ads.Config{Listener: l, Logger: slog.New(slog.DiscardHandler), Metrics: metrics})
			if err != nil {
				b.Fatal(err)
			}
			runServer(b, s)
			state := translate.New(translate.Inputs{Commit: "0", Spec: specs[0]}, nil)
			s.Publish(state)
			bootstrap, err := translate.Bootstrap(translate.BootstrapConfig{
				Identity: id, XDSAddress: l.Addr().String(), AdminAddress: netip.MustParseAddrPort("127.0.0.1:0"), WholeRoutes: whole, NoReports: true,
			})
			if err != nil {
				b.Fatal(err)
			}
			pid, _ := runEnvoy(b, bootstrap)
			has := func(commit string) bool {
				p := s.Proxies()
				return len(p) == 1 && p[0].Applied == commit && p[0].Types[xds.Route].Resources > 0
			}
			for begin := time.Now(); !has("0"); time.Sleep(10 * time.Millisecond) {
				if time.Since(begin) > time.Minute {
					b.Fatalf("%+v", s.Proxies())
				}
			}
			time.Sleep(time.Second) // it settles
			cpu, sent := cpuOf(b, pid), sentBytes(b, metrics)
			n := 0
			for b.Loop() {
				n++
				commit := strconv.Itoa(n)
				state = translate.New(translate.Inputs{Commit: commit, Spec: specs[n%2]}, state)
				s.Publish(state)
				for !has(commit) {
					<-s.Changed()
				}
			}
			b.ReportMetric(float64((cpuOf(b, pid)-cpu).Microseconds())/float64(n), "envoy-µs/op")
			b.ReportMetric((sentBytes(b, metrics)-sent)/float64(n), "sent-B/op")
		})
	}
}

// cpuOf is what a process has used, in ticks of 10 ms (proc(5)).
func cpuOf(b *testing.B, pid int) time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Skip(err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')'):]))
	ticks := 0
	for _, f := range fields[12:14] { // utime, stime
		n, err := strconv.Atoi(f)
		if err != nil {
			b.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// sentBytes are those of all responses.
func sentBytes(b *testing.B, metrics *prometheus.Registry) (sum float64) {
	families, err := metrics.Gather()
	if err != nil {
		b.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "meshwright_ads_response_bytes_total" {
			for _, m := range f.Metric {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}
