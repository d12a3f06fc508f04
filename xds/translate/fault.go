package translate

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	commonfaultv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/common/fault/v3"
	faultv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/fault/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/meshwright/meshwright/schema"
)

// grpcStatus are gRPC's status codes (grpc.io, "Status codes"), spelled as App
// Mesh's retry events are.
var grpcStatus = map[string]uint32{
	"cancelled": 1, "unknown": 2, "invalid-argument": 3, "deadline-exceeded": 4, "not-found": 5, "already-exists": 6,
	"permission-denied": 7, "resource-exhausted": 8, "failed-precondition": 9, "aborted": 10, "out-of-range": 11,
	"unimplemented": 12, "internal": 13, "unavailable": 14, "data-loss": 15, "unauthenticated": 16,
}

// faultOn is what happens to a route's requests on purpose.
func faultOn(r *schema.RouteRules) proto.Message {
	f := r.Fault
	if f == nil {
		return nil
	}
	out := &faultv3.HTTPFault{Headers: headerMatches(f.Headers)}
	if d := f.Delay; d != nil && d.Duration.Duration() > 0 {
		out.Delay = &commonfaultv3.FaultDelay{
			FaultDelaySecifier: &commonfaultv3.FaultDelay_FixedDelay{FixedDelay: durationpb.New(d.Duration.Duration())},
			Percentage:         percentage(d.Percent),
		}
	}
	if a := f.Abort; a != nil {
		out.Abort = &faultv3.FaultAbort{Percentage: percentage(a.Percent)}
		if a.GRPCStatus != "" {
			out.Abort.ErrorType = &faultv3.FaultAbort_GrpcStatus{GrpcStatus: grpcStatus[a.GRPCStatus]}
		} else {
			out.Abort.ErrorType = &faultv3.FaultAbort_HttpStatus{HttpStatus: a.HTTPStatus}
		}
	}
	return out
}

// percentage is a share of the requests; nil is all.
func percentage(p *uint32) *typev3.FractionalPercent {
	if p == nil {
		return &typev3.FractionalPercent{Numerator: 100}
	}
	return &typev3.FractionalPercent{Numerator: *p}
}

func fraction(p *uint32) *corev3.RuntimeFractionalPercent {
	return &corev3.RuntimeFractionalPercent{DefaultValue: percentage(p)}
}

// exactFraction is a share of the requests, to a hundredth of a percent.
func exactFraction(p schema.Percent) *corev3.RuntimeFractionalPercent {
	return &corev3.RuntimeFractionalPercent{DefaultValue: &typev3.FractionalPercent{Numerator: uint32(p), Denominator: typev3.FractionalPercent_TEN_THOUSAND}}
}
