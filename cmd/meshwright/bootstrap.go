package main

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/meshwright/meshwright/xds"
	"github.com/meshwright/meshwright/xds/translate"
)

type bootstrapCmd struct {
	Path string `arg:"" optional:"" help:"Directory (or file) of the specs, which must have the identity (default: it is not looked for)."`
	capture
	Proxy        string   `required:"" placeholder:"IDENTITY" help:"mesh/MESH/virtualNode/NAME or mesh/MESH/virtualGateway/NAME."`
	XdsAddress   string   `default:"127.0.0.1:18000" help:"Where the daemon serves xDS."`
	NodeID       string   `name:"node-id" help:"This proxy's own name among those of its identity (default: the identity)."`
	AdminAddress string   `default:"127.0.0.1:9901" help:"Envoy's admin interface."`
	DNSResolver  []string `name:"dns-resolver" placeholder:"IP:PORT" help:"Resolve with these DNS servers (default: the machine's)."`
	AllStats     bool     `help:"Keep the metrics too that say nothing more than others do."`
	NoReports    bool     `help:"Do not tell the daemon what the proxy sees of traffic and of endpoints' health."`

	ReportInterval time.Duration `default:"5s" help:"How often to tell it, 500ms to 5s: shorter for rollouts of short steps, at the cost of as many more reports."`

	Sotw         bool   `help:"State-of-the-world xDS instead of delta."`
	WholeRoutes  bool   `help:"Take the routes to all backends of a port as one resource, and all of it again when one changes."`
	SDSSocket    string `name:"sds-socket" env:"APPMESH_SDS_SOCKET_PATH" placeholder:"PATH" help:"Socket of the machine's SDS server (SPIRE, say), for certificates that the spec takes by sds."`
	XdsCA        string `name:"xds-ca" placeholder:"FILE" help:"Reach the daemon by TLS and trust these authorities."`
	XdsCert      string `placeholder:"FILE" help:"The proxy's own certificate for the daemon (mutual TLS); Envoy reads it when it starts, but for --xds-sds."`
	XdsKey       string `placeholder:"FILE" help:"Its private key."`
	XdsSds       string `name:"xds-sds" placeholder:"FILE" help:"Take the certificate by way of this file, so that Envoy takes renewed ones too; --sds prints what belongs into it."`
	SDS          bool   `name:"sds" help:"Print the file of --xds-sds, not the bootstrap."`
	XdsTokenFile string `placeholder:"FILE" help:"A file that holds the token to show to the daemon; Envoy reads it when it starts."`
	GRPC         bool   `name:"grpc" help:"Print the bootstrap of a proxyless gRPC client."`
}

func (cmd bootstrapCmd) Run(ctx context.Context, c console) error {
	id, err := xds.ParseIdentity(cmd.Proxy)
	if err != nil {
		return usageError{fmt.Errorf("--proxy: %w", err)}
	}
	if cmd.Path != "" {
		spec, err := tree{Path: cmd.Path}.spec(ctx, c)
		if err != nil {
			return err
		}
		if err := known(id, spec); err != nil {
			return err
		}
	}
	capture, err := cmd.value()
	if err != nil {
		return err
	}
	admin, err := netip.ParseAddrPort(cmd.AdminAddress)
	if err != nil {
		return usageError{fmt.Errorf("--admin-address %s: write IP:PORT", cmd.AdminAddress)}
	}
	var resolvers []netip.AddrPort
	for _, s := range cmd.DNSResolver {
		r, err := netip.ParseAddrPort(s)
		if err != nil {
			return usageError{fmt.Errorf("--dns-resolver %s: write IP:PORT", s)}
		}
		resolvers = append(resolvers, r)
	}
	print := translate.Bootstrap
	switch {
	case cmd.GRPC || capture.Proxyless:
		print = translate.GRPCBootstrap
	case cmd.SDS:
		print = translate.CertificateSDS
	}
	out, err := print(translate.BootstrapConfig{
		Identity: id, NodeID: cmd.NodeID, Capture: capture, XDSAddress: cmd.XdsAddress, SOTW: cmd.Sotw, WholeRoutes: cmd.WholeRoutes,
		AdminAddress: admin, AllStats: cmd.AllStats, NoReports: cmd.NoReports, ReportInterval: cmd.ReportInterval, DNSResolvers: resolvers,
		CAFile: cmd.XdsCA, CertFile: cmd.XdsCert, KeyFile: cmd.XdsKey, TokenFile: cmd.XdsTokenFile, SDSFile: cmd.XdsSds, SDSSocket: cmd.SDSSocket,
	})
	if err != nil {
		return usageError{err}
	}
	_, err = fmt.Fprintf(c.out, "%s\n", out)
	return err
}
