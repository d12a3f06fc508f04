package translate

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
)

// The names on the wire are App Mesh's ("Envoy proxy metrics" in its user
// guide), so that dashboards made for it keep working. They are made here and
// parsed nowhere.

// The ports that App Mesh's proxy-init redirects traffic to.
const (
	ingressPort = 15000
	egressPort  = 15001
)

func ingressListenerName(addr netip.AddrPort) string {
	return fmt.Sprintf("lds_ingress_%s_%d", addr.Addr(), addr.Port())
}

func egressListenerName(addr netip.AddrPort) string {
	return fmt.Sprintf("lds_egress_%s_%d", addr.Addr(), addr.Port())
}

// ingressClusterName is the application behind a node's listener.
func ingressClusterName(n *schema.VirtualNode, l *schema.NodeListener) string {
	return fmt.Sprintf("cds_ingress_%s_%s_%s_%d", n.Mesh, n.AWSName, l.PortMapping.Protocol, l.PortMapping.Port)
}

// egressClusterName is a node's listener as its clients see it. variant is
// empty but where one client speaks to it in several ways (see upstreams).
func egressClusterName(n *schema.VirtualNode, l *schema.NodeListener, variant string) string {
	name := fmt.Sprintf("cds_egress_%s_%s_%s_%d", n.Mesh, n.AWSName, l.PortMapping.Protocol, l.PortMapping.Port)
	if variant != "" {
		name += "_" + variant
	}
	return name
}

// passthroughName is the cluster of whatever address the application dialled.
func passthroughName(mesh string) string { return "cds_egress_" + mesh + "_passthrough" }

// ingressRouteName is the same for every protocol on HTTP: connections that came
// before a change of protocol go on with the routes of now.
func ingressRouteName(p schema.PortMapping) string {
	return fmt.Sprintf("rds_ingress_http_%d", p.Port)
}

// egressRouteName is the routes of all backends on a port.
func egressRouteName(port uint32) string { return fmt.Sprintf("rds_egress_http_%d", port) }

// anyPortRouteName is the routes of all backends on ports that none of them
// listens on.
const anyPortRouteName = "rds_egress_http_any"

// addressRouteName is the routes of the backends that explicit capture offers
// at an address.
func addressRouteName(addr netip.AddrPort) string {
	return fmt.Sprintf("rds_egress_%s_%d", addr.Addr(), addr.Port())
}

// grpcRouteName is the routes of a backend on a port, for gRPC clients without
// a proxy.
func grpcRouteName(v *schema.VirtualService, port uint32) string {
	return fmt.Sprintf("rds_egress_grpc_%s_%d", v.AWSName, port)
}

// virtualHostName names a virtual service on one of its ports.
func virtualHostName(v *schema.VirtualService) string { return v.Mesh + "_" + v.AWSName }

// gatewayRouteName is the routes of a gateway's listener.
func gatewayRouteName(p schema.PortMapping) string { return ingressRouteName(p) }

// throughName is a gateway route, and the route behind it that a request takes
// next; App Mesh had no name for the two.
func throughName(r *schema.GatewayRoute, inner string) string {
	return strings.TrimSuffix(r.AWSName+"/"+inner, "/")
}

// tracingCluster is the collector of spans.
const tracingCluster = "cds_tracing"

// certificateName and trustName are secrets that hold paths on the proxy's
// disk; each path has one.
func certificateName(f *schema.FileCertificate) string {
	return "certificate:" + f.CertificateChain + ":" + f.PrivateKey
}

func trustName(f *schema.FileTrust) string { return "trust:" + f.CertificateChain }

// ownCertificateName, ownTrustName and issuerName are secrets that this control
// plane has itself, by what specs call them.
func ownCertificateName(n xds.SecretName) string { return "certificate:" + string(n) }

func ownTrustName(names []xds.SecretName) string {
	all := make([]string, len(names))
	for i := range names {
		all[i] = string(names[i])
	}
	return "trust:" + strings.Join(all, ",")
}

func issuerName(n xds.SecretName) string { return "issuer:" + string(n) }

// localSDSCluster is the cluster of a proxy's bootstrap that leads to its own
// SDS server, by the name that App Mesh's Envoy gave it.
const localSDSCluster = "static_cluster_sds_unix_socket"
