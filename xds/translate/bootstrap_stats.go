package translate

import (
	"fmt"
	"regexp"
	"strings"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	metricsv3 "github.com/envoyproxy/go-control-plane/envoy/config/metrics/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
)

// Labels of a proxy's metrics are the dimensions of App Mesh's metrics
// extension: who the proxy is (as ENABLE_ENVOY_STATS_TAGS had it), and which
// virtual node and virtual service a request was for.
const (
	tagMesh          = "appmesh.mesh"
	tagNode          = "appmesh.virtual_node"
	tagGateway       = "appmesh.virtual_gateway"
	tagTargetNode    = "appmesh.target_virtual_node"
	tagTargetService = "appmesh.target_virtual_service"
)

func statsConfig(c BootstrapConfig) *metricsv3.StatsConfig {
	own := tagNode
	if c.Identity.Kind == schema.KindVirtualGateway {
		own = tagGateway
	}
	stats := &metricsv3.StatsConfig{StatsTags: []*metricsv3.TagSpecifier{
		fixedTag(tagMesh, c.Identity.Mesh),
		fixedTag(own, c.Identity.Name),
		foundTag(tagTargetNode, targetNodePattern(c.Identity)),
		foundTag(tagTargetService, `^vhost\.(.+\.route\.(.+)\.)\w+$`),
	}}
	if !c.AllStats {
		stats.StatsMatcher = dullStats()
	}
	return stats
}

func fixedTag(name, value string) *metricsv3.TagSpecifier {
	return &metricsv3.TagSpecifier{TagName: name, TagValue: &metricsv3.TagSpecifier_FixedValue{FixedValue: value}}
}

// foundTag takes a label out of names: the first group of the pattern leaves
// the name, the second is the value.
func foundTag(name, pattern string) *metricsv3.TagSpecifier {
	return &metricsv3.TagSpecifier{TagName: name, TagValue: &metricsv3.TagSpecifier_Regex{Regex: pattern}}
}

// targetNodePattern reads the virtual node out of the names that
// [egressClusterName] makes, as [statName] has them.
func targetNodePattern(id xds.Identity) string {
	return fmt.Sprintf(`^cluster\.(cds_egress_%s_([^.]+)_(?:http|http2|grpc|tcp)_\d+(?:_[^.]*)?\.)`, regexp.QuoteMeta(statName(id.Mesh)))
}

// statName is a name as one part of the name of a metric, which dots divide.
func statName(name string) string { return strings.ReplaceAll(name, ".", "_") }

// nameStats keeps the dots of a cluster's name out of the names of its metrics,
// or each such cluster would have metrics of its own.
func nameStats(c *clusterv3.Cluster) {
	if strings.Contains(c.Name, ".") {
		c.AltStatName = statName(c.Name)
	}
}

// dullStats leaves out what says the same as others or is about what meshes do
// not use: some 40 % of a cluster's series.
func dullStats() *metricsv3.StatsMatcher {
	list := &matcherv3.ListStringMatcher{}
	for _, pattern := range []string{
		// The same requests once more, by where they came from.
		`cluster\..+\.(?:external|internal|canary)\.upstream_rq.*`,
		// What nothing here sets up: zone-aware routing, subsets, a second
		// priority, redirects that Envoy follows, HTTP/3.
		`cluster\..+\.(?:lb_zone_|lb_subsets_|lb_local_cluster|lb_recalculate_zone|original_dst_host_invalid).*`,
		`cluster\..+\.circuit_breakers\.high\..*`,
		`cluster\..+\.upstream_(?:internal_redirect_.*|http3_broken|cx_http3_total|rq_0rtt|cx_connect_with_0_rtt)`,
		// Histograms about connections and headers; counters of both stay.
		`cluster\..+\.(?:upstream_cx_length_ms|upstream_rq_per_cx|http2\.(?:header_list_size|header_count|cookie_size|cookie_count)|http1\.header_.*|http1\.cookie_.*)`,
		`(?:http|listener)\..+\.downstream_cx_length_ms`,
		`listener\..+\.connections_accepted_per_socket_event`,
		`http\..+\.rds\..+\.update_duration`,
		// Each worker's share.
		`listener\..+\.worker_\d+\..*`,
		`(?:main_thread|workers|server\.worker_\d+|server\.main_thread)\.watchdog_.*`,
		`overload\..*refresh_interval_delay`,
	} {
		list.Patterns = append(list.Patterns, regex(pattern))
	}
	return &metricsv3.StatsMatcher{StatsMatcher: &metricsv3.StatsMatcher_ExclusionList{ExclusionList: list}}
}
