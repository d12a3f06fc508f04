package ads

import (
	"cmp"
	"context"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/grpc/peer"

	"github.com/meshwright/meshwright/xds"
)

// The kinds of reports, in metrics.
const (
	byOTLP    = "otlp"    // OpenTelemetry metrics: what our bootstraps are set up for
	byMetrics = "metrics" // envoy.service.metrics.v3
	byLoads   = "loads"   // envoy.service.load_stats.v3
)

var reportKinds = []string{byOTLP, byMetrics, byLoads}

// reports are what a proxy with an ADS stream has reported. They go with it.
type reports struct {
	mu    sync.Mutex // before the conn's
	last  time.Time
	stamp uint64 // of the last; see told
	// metered: its metrics have counts, so that load reports need not be counted too.
	metered   bool
	endpoints map[string]xds.Endpoints // by cluster; replaced, never changed

	seen  *xds.Resources    // that named is of
	named map[string]string // clusters by what their metrics call them, where that is another name
}

// reporter is who reports: a node as its report names it, and from where.
type reporter struct {
	identity xds.Identity
	id       string
	address  string
}

func reporterOf(ctx context.Context, identity xds.Identity, id string) reporter {
	r := reporter{identity: identity, id: cmp.Or(id, identity.String())}
	if p, ok := peer.FromContext(ctx); ok {
		r.address = p.Addr.String()
	}
	return r
}

// reporter is who the proxy of a connection is when it reports.
func (c *conn) reporter() reporter { return reporter{c.profile.Identity, c.id, c.address} }

// claim returns who a report's node is, if its credentials allow it.
func (s *Server) claim(ctx context.Context, node *corev3.Node) (reporter, error) {
	profile, err := s.auth.identify(ctx, node)
	if err != nil {
		s.log.Warn("report refused", "proxy", node.GetId(), "err", err)
		return reporter{}, err
	}
	return reporterOf(ctx, profile.Identity, node.GetId()), nil
}

// connOf finds the ADS stream of who reports: that of the same connection, as
// an Envoy has one for all, or else one from the same machine. Who has none is
// not listened to, so that there are no more reports than proxies.
func (s *Server) connOf(r reporter) *conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.reporters[r]; c != nil {
		return c
	}
	host := hostOf(r.address)
	for c := range s.conns {
		if c.id == r.id && c.profile.Identity == r.identity && hostOf(c.address) == host {
			return c
		}
	}
	return nil
}

func hostOf(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return host
}

// told is what a report says.
type told struct {
	kind     string
	size     int           // in bytes
	interval time.Duration // that it is about; 0: it does not say
	stamp    uint64        // when that ended, in nanoseconds of the proxy's clock; 0: it does not say
	tallies  tallies
}

// interval is how long the time was that a report is about: if it does not say,
// since the report before, by the proxy's clock, and else [xds.ReportInterval].
func (r *reports) interval(t told) time.Duration {
	before := r.stamp
	r.stamp = t.stamp
	switch {
	case t.interval > 0:
		return min(t.interval, kept)
	case before > 0 && t.stamp > before:
		return time.Duration(min(t.stamp-before, uint64(kept)))
	}
	return xds.ReportInterval
}

// report takes a report. Of it stays what is about the clusters that the proxy
// was given, and nothing else.
func (s *Server) report(r reporter, t told) {
	s.metrics.reports.WithLabelValues(t.kind).Inc()
	s.metrics.reportBytes.WithLabelValues(t.kind).Add(float64(t.size))
	c := s.connOf(r)
	if c == nil {
		return
	}
	now := s.now()
	c.reports.mu.Lock()
	defer c.reports.mu.Unlock()
	fresh := now.Sub(c.reports.last) <= staleReports
	c.reports.last = now
	began := now.Add(-c.reports.interval(t))
	c.mu.Lock()
	given := c.stream.want
	c.mu.Unlock()
	endpoints, healthy := map[string]xds.Endpoints{}, false
	for name, n := range t.tallies {
		cluster := c.reports.cluster(given, name)
		if cluster == nil {
			continue
		}
		c.reports.metered = c.reports.metered || t.kind != byLoads && n.requests > 0
		if t.kind != byLoads || !c.reports.metered {
			s.traffic.add(began, now, r.identity, cluster.Name, n.traffic())
		}
		if n.total < 0 || n.healthy < 0 {
			continue
		}
		healthy = true
		if n.healthy < n.total || watchesHealth(cluster) {
			endpoints[cluster.Name] = xds.Endpoints{Cluster: cluster.Name, Healthy: n.healthy, Total: n.total}
		}
	}
	if healthy && (!fresh || !maps.Equal(c.reports.endpoints, endpoints)) {
		c.reports.endpoints = endpoints
		s.news.tell()
	}
}

// staleReports is after how long without a report a proxy counts as silent.
const staleReports = 3 * xds.ReportInterval

// cluster finds the cluster of a report among those that a proxy was given.
func (r *reports) cluster(given *xds.Resources, name string) *xds.Resource {
	if given == nil {
		return nil
	}
	if r.seen != given {
		r.seen, r.named = given, map[string]string{}
		for _, c := range given[xds.Cluster] {
			if alt := altStatName(c); alt != "" {
				r.named[alt] = c.Name
			}
		}
	}
	return given.Get(xds.Cluster, cmp.Or(r.named[name], name))
}

// fill adds what a proxy has reported to what else is known of it.
func (r *reports) fill(p *xds.Proxy, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p.Reported = r.last
	if now.Sub(r.last) > staleReports {
		return
	}
	for _, e := range r.endpoints {
		p.Endpoints = append(p.Endpoints, e)
	}
	slices.SortFunc(p.Endpoints, func(a, b xds.Endpoints) int { return strings.Compare(a.Cluster, b.Cluster) })
}

// Traffic returns what proxies saw of requests to each cluster between two
// times, of the last 15 minutes, added over all proxies that reported; a cluster
// without any is not in it. A report is about an interval of
// [xds.ReportInterval] and counts if that lies wholly between the two, so that
// the window's ends may be missing, but never is something of before or after
// in it.
func (s *Server) Traffic(from, to time.Time) map[string]xds.Traffic { return s.traffic.sum(from, to) }

// Reporting returns how many proxies with an Envoy are connected, and how many of
// them have reported lately. gRPC clients count as neither: they tell of
// traffic, but nothing of its latency.
func (s *Server) Reporting() (connected, reporting int) {
	now := s.now()
	for _, c := range s.connections() {
		if c.profile.Capture.Proxyless {
			continue
		}
		connected++
		c.reports.mu.Lock()
		if now.Sub(c.reports.last) <= staleReports {
			reporting++
		}
		c.reports.mu.Unlock()
	}
	return connected, reporting
}
