package ads

import (
	"context"
	"io"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	loadv3 "github.com/envoyproxy/go-control-plane/envoy/service/load_stats/v3"
	metricsv3 "github.com/envoyproxy/go-control-plane/envoy/service/metrics/v3"
	otlpv1 "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/meshwright/meshwright/xds"
)

// registerReports offers the services by which proxies report, beside ADS.
func (s *Server) registerReports(g *grpc.Server) {
	metricsv3.RegisterMetricsServiceServer(g, s)
	loadv3.RegisterLoadReportingServiceServer(g, s)
	g.RegisterService(&otlpService, s)
}

// StreamMetrics takes what Envoy's metrics service sink sends.
func (s *Server) StreamMetrics(g metricsv3.MetricsService_StreamMetricsServer) error {
	var who *reporter
	err := s.read(func() error {
		m, err := g.Recv()
		if err == nil && who == nil {
			who, err = s.first(g.Context(), m.GetIdentifier().GetNode())
		}
		if err == nil {
			s.report(*who, told{kind: byMetrics, size: proto.Size(m), tallies: ofMetrics(m.GetEnvoyMetrics())})
		}
		return err
	})
	if err != nil {
		return err
	}
	return g.SendAndClose(&metricsv3.StreamMetricsResponse{})
}

// StreamLoadStats asks for the load of all clusters and takes it.
func (s *Server) StreamLoadStats(g loadv3.LoadReportingService_StreamLoadStatsServer) error {
	var who *reporter
	return s.read(func() error {
		m, err := g.Recv()
		if err != nil {
			return err
		}
		if who == nil {
			if who, err = s.first(g.Context(), m.GetNode()); err != nil {
				return err
			}
			return g.Send(&loadv3.LoadStatsResponse{SendAllClusters: true, LoadReportingInterval: durationpb.New(xds.ReportInterval)})
		}
		t := told{kind: byLoads, size: proto.Size(m), tallies: ofLoads(m.GetClusterStats())}
		if list := m.GetClusterStats(); len(list) > 0 {
			t.interval = list[0].GetLoadReportInterval().AsDuration()
		}
		s.report(*who, t)
		return nil
	})
}

// first is who the node of a stream's first message is.
func (s *Server) first(ctx context.Context, node *corev3.Node) (*reporter, error) {
	r, err := s.claim(ctx, node)
	return &r, err
}

// read receives until there is an error or the server ends; no error where the
// proxy ended the stream.
func (s *Server) read(receive func() error) error {
	ended := make(chan error, 1)
	go func() { // ends with the stream's context, which ends when its handler returns
		for {
			if err := receive(); err != nil {
				ended <- err
				return
			}
		}
	}()
	select {
	case err := <-ended:
		if err == io.EOF {
			return nil
		}
		return err
	case <-s.draining:
		return errDraining
	}
}

// otlpService is OpenTelemetry's MetricsService. It is written out here since
// the module's own package brings a whole HTTP gateway along. A MetricsData
// reads as an ExportMetricsServiceRequest, whose only field it shares, and the
// answer of a full success is empty.
var otlpService = grpc.ServiceDesc{
	ServiceName: "opentelemetry.proto.collector.metrics.v1.MetricsService",
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{{MethodName: "Export", Handler: func(s any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		m := &otlpv1.MetricsData{}
		if err := decode(m); err != nil {
			return nil, err
		}
		return &emptypb.Empty{}, s.(*Server).export(ctx, m)
	}}},
}

// export takes what an Envoy's OpenTelemetry sink sends. Its resource says whose
// it is.
func (s *Server) export(ctx context.Context, m *otlpv1.MetricsData) error {
	if len(m.GetResourceMetrics()) != 1 {
		return status.Error(codes.InvalidArgument, "an export of one proxy has one resource")
	}
	label := attribute(m.ResourceMetrics[0].GetResource().GetAttributes())
	who, err := s.claim(ctx, &corev3.Node{Cluster: label(xds.AttributeIdentity), Id: label(xds.AttributeNode)})
	if err != nil {
		return err
	}
	s.report(who, told{kind: byOTLP, size: proto.Size(m), stamp: stampOfOTLP(m), tallies: ofOTLP(m)})
	return nil
}
