package translate

import (
	"cmp"
	"time"

	xdscorev3 "github.com/cncf/xds/go/xds/core/v3"
	xdsmatcherv3 "github.com/cncf/xds/go/xds/type/matcher/v3"
	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	metricsv3 "github.com/envoyproxy/go-control-plane/envoy/config/metrics/v3"
	statsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/matching/common_inputs/stats/v3"
	otelsinkv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/stat_sinks/open_telemetry/v3"
	detectorsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/tracers/opentelemetry/resource_detectors/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshwright/meshwright/xds"
)

// leastReportInterval is the shortest: below it an Envoy does little else.
const leastReportInterval = 500 * time.Millisecond

// addReports makes an Envoy tell the daemon, over the connection that it has
// for ADS, what it sees of traffic to nodes and of their endpoints' health.
func addReports(b *bootstrapv3.Bootstrap, c BootstrapConfig) {
	b.StatsFlushInterval = durationpb.New(cmp.Or(c.ReportInterval, xds.ReportInterval))
	b.StatsConfig.HistogramBucketSettings = []*metricsv3.HistogramBucketSettings{{
		Match: regex(`cluster\.[^.]+\.upstream_rq_time`), Buckets: xds.LatencyBounds,
	}}
	b.StatsSinks = []*metricsv3.StatsSink{{
		Name: "envoy.stat_sinks.open_telemetry",
		ConfigType: &metricsv3.StatsSink_TypedConfig{TypedConfig: packed(&otelsinkv3.SinkConfig{
			ProtocolSpecifier: &otelsinkv3.SinkConfig_GrpcService{GrpcService: &corev3.GrpcService{
				TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{ClusterName: xdsCluster}},
			}},
			ResourceDetectors: []*corev3.TypedExtensionConfig{extension("envoy.tracers.opentelemetry.resource_detectors.static_config",
				&detectorsv3.StaticConfigResourceDetectorConfig{Attributes: map[string]string{
					xds.AttributeIdentity: c.Identity.String(), xds.AttributeNode: c.nodeID(),
				}})},
			ReportCountersAsDeltas:   true,
			ReportHistogramsAsDeltas: true,
			// Names whole and no labels: all that is in them, at half the size.
			EmitTagsAsAttributes:    wrapperspb.Bool(false),
			UseTagExtractedName:     wrapperspb.Bool(false),
			CustomMetricConversions: reported(),
		})},
	}}
}

// reported drops every metric but those that the daemon reads, of requests to
// nodes: a tenth of them. Other sinks and the admin interface keep all. That the
// server lives is a sign of life of a proxy without backends, of which there
// would be no report at all.
func reported() *xdsmatcherv3.Matcher {
	const stats = `server\.live|cluster\.cds_egress_[^.]+\.(?:upstream_rq_(?:time|[1-5]xx|retry)|retry\.upstream_rq_4xx|grpc\.(?:2|4|12|13|14|15)|membership_(?:healthy|total))`
	drop := &xdscorev3.TypedExtensionConfig{Name: "drop", TypedConfig: packed(&otelsinkv3.SinkConfig_DropAction{})}
	return &xdsmatcherv3.Matcher{MatcherType: &xdsmatcherv3.Matcher_MatcherList_{MatcherList: &xdsmatcherv3.Matcher_MatcherList{
		Matchers: []*xdsmatcherv3.Matcher_MatcherList_FieldMatcher{{
			Predicate: not(&xdsmatcherv3.Matcher_MatcherList_Predicate_SinglePredicate{
				Input: &xdscorev3.TypedExtensionConfig{Name: "name", TypedConfig: packed(&statsv3.StatFullNameMatchInput{})},
				Matcher: &xdsmatcherv3.Matcher_MatcherList_Predicate_SinglePredicate_ValueMatch{ValueMatch: &xdsmatcherv3.StringMatcher{
					MatchPattern: &xdsmatcherv3.StringMatcher_SafeRegex{SafeRegex: &xdsmatcherv3.RegexMatcher{
						EngineType: &xdsmatcherv3.RegexMatcher_GoogleRe2{GoogleRe2: &xdsmatcherv3.RegexMatcher_GoogleRE2{}}, Regex: stats,
					}},
				}},
			}),
			OnMatch: &xdsmatcherv3.Matcher_OnMatch{OnMatch: &xdsmatcherv3.Matcher_OnMatch_Action{Action: drop}},
		}},
	}}}
}

func not(p *xdsmatcherv3.Matcher_MatcherList_Predicate_SinglePredicate) *xdsmatcherv3.Matcher_MatcherList_Predicate {
	return &xdsmatcherv3.Matcher_MatcherList_Predicate{MatchType: &xdsmatcherv3.Matcher_MatcherList_Predicate_NotMatcher{
		NotMatcher: &xdsmatcherv3.Matcher_MatcherList_Predicate{MatchType: &xdsmatcherv3.Matcher_MatcherList_Predicate_SinglePredicate_{SinglePredicate: p}},
	}}
}

func regex(pattern string) *matcherv3.StringMatcher {
	return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_SafeRegex{SafeRegex: &matcherv3.RegexMatcher{Regex: pattern}}}
}
