package translate

import (
	"cmp"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/meshwright/meshwright/schema"
)

// healthChecks are what clients do towards a node that declares one.
// The interval holds with and without traffic, as App Mesh's has no second
// one (Envoy would check idle clusters once a minute).
func healthChecks(n *schema.VirtualNode, l *schema.NodeListener) []*corev3.HealthCheck {
	h := l.HealthCheck
	if h == nil {
		return nil
	}
	interval := durationpb.New(millis(cmp.Or(h.IntervalMillis, 30_000)))
	check := &corev3.HealthCheck{
		Timeout:            durationpb.New(millis(cmp.Or(h.TimeoutMillis, 5_000))),
		Interval:           interval,
		NoTrafficInterval:  interval,
		HealthyThreshold:   u32(h.HealthyThreshold),
		UnhealthyThreshold: u32(h.UnhealthyThreshold),
	}
	switch {
	case h.Protocol == schema.ProtocolTCP || deafToGRPC(l):
		check.HealthChecker = &corev3.HealthCheck_TcpHealthCheck_{TcpHealthCheck: &corev3.HealthCheck_TcpHealthCheck{}}
	case h.Protocol == schema.ProtocolGRPC:
		check.HealthChecker = &corev3.HealthCheck_GrpcHealthCheck_{GrpcHealthCheck: &corev3.HealthCheck_GrpcHealthCheck{}}
	default:
		http := &corev3.HealthCheck_HttpHealthCheck{Path: cmp.Or(h.Path, "/"), Host: n.DiscoveryName()}
		if h.Protocol == schema.ProtocolHTTP2 {
			http.CodecClientType = typev3.CodecClientType_HTTP2
		}
		check.HealthChecker = &corev3.HealthCheck_HttpHealthCheck_{HttpHealthCheck: http}
	}
	return []*corev3.HealthCheck{check}
}

// deafToGRPC reports whether a listener is to be checked by gRPC and does not
// speak HTTP/2, which Envoy refuses. It is checked by TCP.
func deafToGRPC(l *schema.NodeListener) bool {
	p := l.PortMapping.Protocol
	return l.HealthCheck != nil && l.HealthCheck.Protocol == schema.ProtocolGRPC && p != schema.ProtocolGRPC && p != schema.ProtocolHTTP2
}

// outlierDetection ejects endpoints after so many server errors in a row, and
// for no other reason. Failures to connect count as server errors.
func outlierDetection(o *schema.OutlierDetection) *clusterv3.OutlierDetection {
	if o == nil {
		return nil
	}
	base := o.BaseEjectionDuration.Duration()
	return &clusterv3.OutlierDetection{
		Consecutive_5Xx:          u32(uint32(o.MaxServerErrors)),
		Interval:                 positive(o.Interval.Duration()),
		BaseEjectionTime:         positive(base),
		MaxEjectionTime:          durationpb.New(max(base, 300*time.Second)), // Envoy refuses less than the base
		MaxEjectionPercent:       u32(o.MaxEjectionPercent),
		EnforcingConsecutive_5Xx: u32(100),
		EnforcingSuccessRate:     u32(0),
	}
}

// positive is a duration, or Envoy's default for one of 0, which it refuses.
func positive(d time.Duration) *durationpb.Duration {
	if d <= 0 {
		return nil
	}
	return durationpb.New(d)
}

func millis(v int64) time.Duration { return time.Duration(v) * time.Millisecond }
