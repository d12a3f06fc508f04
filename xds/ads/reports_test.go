package ads

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	loadv3 "github.com/envoyproxy/go-control-plane/envoy/service/load_stats/v3"
	metricsv3 "github.com/envoyproxy/go-control-plane/envoy/service/metrics/v3"
	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
	commonv1 "go.opentelemetry.io/proto/otlp/common/v1"
	otlpv1 "go.opentelemetry.io/proto/otlp/metrics/v1"
	resourcev1 "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/meshwright/meshwright/xds"
)

// dotted is a cluster with another name in metrics, whose health is checked.
var dotted = resource(xds.Cluster, "shop.local", &clusterv3.Cluster{Name: "shop.local", AltStatName: "shop_local", HealthChecks: []*corev3.HealthCheck{{}}})

// clock is a time that tests move.
type clock struct{ since atomic.Int64 }

func (c *clock) now() time.Time       { return time.Unix(1_800_000_000, c.since.Load()) }
func (c *clock) pass(d time.Duration) { c.since.Add(int64(d)) }
func (c *clock) all(s *Server) map[string]xds.Traffic {
	return s.Traffic(time.Unix(1_800_000_000, 0).Add(-time.Minute), c.now())
}

// reporting is a server with a proxy that has clusters a and shop.local.
func reporting(t testing.TB) (s *Server, c *clock, client *grpc.ClientConn) {
	c = &clock{}
	s, address, _ := local(t, Config{Now: c.now})
	s.Publish(one("c1", resources(a1, dotted)))
	client = dial(t, address)
	p := connect(t, client, "web-1", nil, false)
	p.ask(xds.Cluster)
	p.receive("+a +shop.local", "")
	return s, c, client
}

func node(id string) *corev3.Node { return &corev3.Node{Id: id, Cluster: web.String()} }

// streamMetrics sends one message and waits until it was taken.
func streamMetrics(t testing.TB, client *grpc.ClientConn, n *corev3.Node, families ...*dto.MetricFamily) error {
	t.Helper()
	g, err := metricsv3.NewMetricsServiceClient(client).StreamMetrics(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	m := &metricsv3.StreamMetricsMessage{Identifier: &metricsv3.StreamMetricsMessage_Identifier{Node: n}, EnvoyMetrics: families}
	if err := g.Send(m); err != nil && err != io.EOF {
		t.Fatal(err)
	}
	_, err = g.CloseAndRecv()
	return err
}

func answered(cluster string, n float64, class string) *dto.MetricFamily {
	return family(cluster, "cluster.upstream_rq_xx", counter(n), "envoy.response_code_class", class)
}

func requests(traffic map[string]xds.Traffic) map[string]string {
	out := map[string]string{}
	for cluster, t := range traffic {
		out[cluster] = fmt.Sprintf("%d/%d", t.Errors, t.Requests)
	}
	return out
}

func TestStreamMetrics(t *testing.T) {
	s, c, client := reporting(t)
	if connected, reporting := s.Reporting(); connected != 1 || reporting != 0 {
		t.Errorf("%d connected, %d report", connected, reporting)
	}
	err := streamMetrics(t, client, node("web-1"),
		answered("a", 8, "2"), answered("a", 2, "5"), answered("shop_local", 5, "2"), answered("xds", 50, "2"), answered("guess", 50, "2"),
		family("a", "cluster.membership_total", gauge(3)), family("a", "cluster.membership_healthy", gauge(3)),
		family("shop_local", "cluster.membership_total", gauge(2)), family("shop_local", "cluster.membership_healthy", gauge(1)),
		family("xds", "cluster.membership_total", gauge(2)), family("xds", "cluster.membership_healthy", gauge(1)))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"a": "2/10", "shop.local": "0/5"}, requests(c.all(s))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]xds.Endpoints{{Cluster: "shop.local", Healthy: 1, Total: 2}}, s.Proxies()[0].Endpoints); diff != "" {
		t.Errorf("endpoints (-want +got):\n%s", diff)
	}
	if connected, reporting := s.Reporting(); connected != 1 || reporting != 1 {
		t.Errorf("%d connected, %d report", connected, reporting)
	}
	c.pass(staleReports + time.Second)
	if connected, reporting := s.Reporting(); connected != 1 || reporting != 0 {
		t.Errorf("after a silence %d connected, %d report", connected, reporting)
	}
	if p := s.Proxies()[0]; p.Endpoints != nil || p.Reported.IsZero() {
		t.Errorf("after a silence: %+v", p)
	}
}

// TestLoadReports: they count where the proxy's metrics bring no counts, or
// each request would be there twice.
func TestLoadReports(t *testing.T) {
	s, c, client := reporting(t)
	g, err := loadv3.NewLoadReportingServiceClient(client).StreamLoadStats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	send := func(m *loadv3.LoadStatsRequest) {
		t.Helper()
		if err := g.Send(m); err != nil {
			t.Fatal(err)
		}
	}
	send(&loadv3.LoadStatsRequest{Node: node("web-1")})
	if r, err := g.Recv(); err != nil || !r.SendAllClusters || r.LoadReportingInterval.AsDuration() != xds.ReportInterval {
		t.Fatalf("%v, %v", r, err)
	}
	load := &loadv3.LoadStatsRequest{ClusterStats: []*endpointv3.ClusterStats{
		{ClusterName: "shop.local", LoadReportInterval: durationpb.New(5 * time.Second), UpstreamLocalityStats: []*endpointv3.UpstreamLocalityStats{{TotalSuccessfulRequests: 9, TotalErrorRequests: 1}}},
		{ClusterName: "xds", UpstreamLocalityStats: []*endpointv3.UpstreamLocalityStats{{TotalSuccessfulRequests: 9}}},
	}}
	send(load)
	eventually(t, "load", func() error {
		if got := requests(c.all(s)); !cmp.Equal(got, map[string]string{"shop.local": "1/10"}) {
			return fmt.Errorf("%v", got)
		}
		return nil
	})
	if err := streamMetrics(t, client, node("web-1"), answered("a", 1, "2")); err != nil {
		t.Fatal(err)
	}
	before := s.Proxies()[0].Reported
	c.pass(time.Second)
	send(load)
	eventually(t, "second load report", func() error {
		if !s.Proxies()[0].Reported.After(before) {
			return fmt.Errorf("reported at %v", before)
		}
		return nil
	})
	if got := requests(c.all(s)); !cmp.Equal(got, map[string]string{"shop.local": "1/10", "a": "0/1"}) {
		t.Errorf("%v", got)
	}
}

// export sends an export of OpenTelemetry's protocol.
func export(client *grpc.ClientConn, id, identity string, metrics ...*otlpv1.Metric) error {
	text := func(key, v string) *commonv1.KeyValue {
		return &commonv1.KeyValue{Key: key, Value: &commonv1.AnyValue{Value: &commonv1.AnyValue_StringValue{StringValue: v}}}
	}
	m := &otlpv1.MetricsData{ResourceMetrics: []*otlpv1.ResourceMetrics{{
		Resource:     &resourcev1.Resource{Attributes: []*commonv1.KeyValue{text(xds.AttributeIdentity, identity), text(xds.AttributeNode, id)}},
		ScopeMetrics: []*otlpv1.ScopeMetrics{{Metrics: metrics}},
	}}}
	return client.Invoke(context.Background(), "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", m, &emptypb.Empty{})
}

func otlpSum(name string, n int64) *otlpv1.Metric {
	return &otlpv1.Metric{Name: name, Data: &otlpv1.Metric_Sum{Sum: &otlpv1.Sum{AggregationTemporality: otlpv1.AggregationTemporality_AGGREGATION_TEMPORALITY_DELTA,
		DataPoints: []*otlpv1.NumberDataPoint{{Value: &otlpv1.NumberDataPoint_AsInt{AsInt: n}}}}}}
}

func TestExport(t *testing.T) {
	s, c, client := reporting(t)
	if err := export(client, "web-1", web.String(), otlpSum("cluster.shop_local.upstream_rq_2xx", 7), otlpSum("cluster.guess.upstream_rq_2xx", 7)); err != nil {
		t.Fatal(err)
	}
	if got := requests(c.all(s)); !cmp.Equal(got, map[string]string{"shop.local": "0/7"}) {
		t.Errorf("%v", got)
	}
	if err := client.Invoke(t.Context(), "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", &otlpv1.MetricsData{}, &emptypb.Empty{}); grpcstatus.Code(err) != codes.InvalidArgument {
		t.Errorf("an export of nobody: %v", err)
	}
}

// TestIntervals: a report says what it is about, or the times of two do; proxies
// may report more often than most.
func TestIntervals(t *testing.T) {
	const half = uint64(500 * time.Millisecond)
	const now = uint64(1_800_000_000_000_000_000)
	for name, row := range map[string]struct {
		before uint64
		told   told
		want   time.Duration
	}{
		"the_first":                 {0, told{stamp: now}, xds.ReportInterval},
		"half_a_second_later":       {now - half, told{stamp: now}, 500 * time.Millisecond},
		"the_clock_was_set_back":    {now + half, told{stamp: now}, xds.ReportInterval},
		"the_clock_jumped":          {1, told{stamp: now}, kept},
		"a_stamp_that_is_none":      {now, told{stamp: 0}, xds.ReportInterval},
		"it_says_so":                {now - half, told{stamp: now, interval: 2 * time.Second}, 2 * time.Second},
		"longer_than_is_kept":       {0, told{interval: time.Hour}, kept},
		"it_says_what_nothing_does": {0, told{interval: -time.Hour}, xds.ReportInterval},
	} {
		r := reports{stamp: row.before}
		if got := r.interval(row.told); got != row.want || r.stamp != row.told.stamp {
			t.Errorf("%s: %v, want %v", name, got, row.want)
		}
	}
	at := otlpSum("cluster.a.upstream_rq_2xx", 7)
	at.GetSum().DataPoints[0].TimeUnixNano = now
	if got := stampOfOTLP(&otlpv1.MetricsData{ResourceMetrics: []*otlpv1.ResourceMetrics{{ScopeMetrics: []*otlpv1.ScopeMetrics{{Metrics: []*otlpv1.Metric{at}}}}}}); got != now {
		t.Errorf("the stamp is %d", got)
	}
}

// TestOnlyConnectedProxiesReport: who has no ADS stream leaves nothing behind,
// and neither does who has gone.
func TestOnlyConnectedProxiesReport(t *testing.T) {
	s, c, client := reporting(t)
	for i := range 100 {
		if err := export(client, fmt.Sprint("ghost-", i), web.String(), otlpSum("cluster.a.upstream_rq_2xx", 7)); err != nil {
			t.Fatal(err)
		}
	}
	if got := c.all(s); len(got) != 0 {
		t.Errorf("%v", got)
	}
	other := connect(t, client, "web-2", nil, false)
	other.ask(xds.Cluster)
	other.receive("+a +shop.local", "")
	other.hangUp()
	eventually(t, "one proxy", func() error {
		if n := len(s.Proxies()); n != 1 {
			return fmt.Errorf("%d proxies", n)
		}
		return nil
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.reporters) != 1 {
		t.Errorf("%d reporters stay for one proxy", len(s.reporters))
	}
}

// TestReportsNeedTheirCredential: on each of the services, who may not be a
// proxy may not report for it.
func TestReportsNeedTheirCredential(t *testing.T) {
	file := write(t, t.TempDir(), "tokens", []byte("s3cret-web "+web.String()+"\ns3cret-db "+db.String()+"\n"))
	_, address, _ := local(t, Config{TokenFile: file})
	for token, want := range map[string]codes.Code{"s3cret-web": codes.OK, "s3cret-db": codes.PermissionDenied, "guess": codes.Unauthenticated} {
		client := dial(t, address, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithPerRPCCredentials(bearer(token)))
		if code := grpcstatus.Code(streamMetrics(t, client, node("web-1"))); code != want {
			t.Errorf("metrics with %s: %v, want %v", token, code, want)
		}
		if code := grpcstatus.Code(export(client, "web-1", web.String())); code != want {
			t.Errorf("export with %s: %v, want %v", token, code, want)
		}
		g, err := loadv3.NewLoadReportingServiceClient(client).StreamLoadStats(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_ = g.Send(&loadv3.LoadStatsRequest{Node: node("web-1")})
		if _, err := g.Recv(); grpcstatus.Code(err) != want {
			t.Errorf("loads with %s: %v, want %v", token, err, want)
		}
	}
}

// TestReportsEndWithTheServer: streams that only listen hold nothing up.
func TestReportsEndWithTheServer(t *testing.T) {
	_, address, stop := local(t, Config{Drain: time.Minute})
	g, err := loadv3.NewLoadReportingServiceClient(dial(t, address)).StreamLoadStats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Send(&loadv3.LoadStatsRequest{Node: node("web-1")}); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Recv(); err != nil {
		t.Fatal(err)
	}
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	if _, err := g.Recv(); grpcstatus.Code(err) != codes.Unavailable {
		t.Errorf("the stream ended with %v", err)
	}
	<-stopped
}

// BenchmarkReport is one flush of an Envoy with 30 backends under traffic.
func BenchmarkReport(b *testing.B) {
	s, err := New(Config{})
	if err != nil {
		b.Fatal(err)
	}
	var clusters []*xds.Resource
	var metrics []*otlpv1.Metric
	for i := range 30 {
		name := fmt.Sprintf("cds_egress_shop_node-%d_shop_http_8080", i)
		clusters = append(clusters, eds(name, time.Second))
		counts := make([]uint64, len(xds.LatencyBounds)+1)
		counts[3], counts[7] = 100, 3
		gauge := func(stat string) *otlpv1.Metric {
			return &otlpv1.Metric{Name: "cluster." + name + "." + stat, Data: &otlpv1.Metric_Gauge{Gauge: &otlpv1.Gauge{DataPoints: []*otlpv1.NumberDataPoint{{Value: &otlpv1.NumberDataPoint_AsInt{AsInt: 3}}}}}}
		}
		metrics = append(metrics, otlpSum("cluster."+name+".upstream_rq_2xx", 100), otlpSum("cluster."+name+".upstream_rq_5xx", 3), gauge("membership_healthy"), gauge("membership_total"),
			&otlpv1.Metric{Name: "cluster." + name + ".upstream_rq_time", Data: &otlpv1.Metric_Histogram{Histogram: &otlpv1.Histogram{AggregationTemporality: otlpv1.AggregationTemporality_AGGREGATION_TEMPORALITY_DELTA,
				DataPoints: []*otlpv1.HistogramDataPoint{{ExplicitBounds: xds.LatencyBounds, BucketCounts: counts}}}}})
	}
	c := &conn{id: "web-1", profile: xds.Profile{Identity: web}, stream: newStream(true, 0)}
	c.stream.want = resources(clusters...)
	s.reporters[c.reporter()] = c
	data := &otlpv1.MetricsData{ResourceMetrics: []*otlpv1.ResourceMetrics{{ScopeMetrics: []*otlpv1.ScopeMetrics{{Metrics: metrics}}}}}
	wire, err := newCodec().Marshal(data)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(wire.Len()))
	b.ReportAllocs()
	for b.Loop() {
		m := &otlpv1.MetricsData{}
		if err := newCodec().Unmarshal(wire, m); err != nil {
			b.Fatal(err)
		}
		s.report(c.reporter(), told{kind: byOTLP, size: wire.Len(), stamp: stampOfOTLP(m), tallies: ofOTLP(m)})
	}
}
