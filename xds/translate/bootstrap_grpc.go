package translate

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/types/known/structpb"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
)

// GRPCBootstrap is the bootstrap of a proxyless gRPC client, which finds it by
// GRPC_XDS_BOOTSTRAP (gRPC's proposals A27 and A29). Such clients show
// certificates, which they read again as they change, but no tokens.
func GRPCBootstrap(c BootstrapConfig) ([]byte, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	switch {
	case c.TokenFile != "":
		return nil, errors.New("xds token file: gRPC clients show no tokens; use a certificate and its key")
	case c.Identity.Kind != schema.KindVirtualNode:
		return nil, fmt.Errorf("%s: a gRPC client stands for a virtual node", c.Identity)
	case c.Capture != xds.Capture{} && !c.Capture.Proxyless:
		return nil, errors.New("capture: a gRPC client has no proxy that traffic could go through")
	}
	c.Capture = xds.Capture{Proxyless: true}
	return indented(grpcBootstrap{
		Servers: []grpcServer{{URI: c.XDSAddress, Credentials: []grpcCredentials{c.grpcCredentials()}, Features: []string{"xds_v3"}}},
		Node:    grpcNode{ID: c.nodeID(), Cluster: c.Identity.String(), Metadata: c.profile().Metadata()},
	})
}

type (
	grpcBootstrap struct {
		Servers []grpcServer `json:"xds_servers"`
		Node    grpcNode     `json:"node"`
	}
	grpcServer struct {
		URI         string            `json:"server_uri"`
		Credentials []grpcCredentials `json:"channel_creds"`
		Features    []string          `json:"server_features"`
	}
	grpcCredentials struct {
		Type   string   `json:"type"`
		Config *grpcTLS `json:"config,omitempty"`
	}
	grpcTLS struct {
		CA      string `json:"ca_certificate_file"`
		Cert    string `json:"certificate_file,omitempty"`
		Key     string `json:"private_key_file,omitempty"`
		Refresh string `json:"refresh_interval"`
	}
	grpcNode struct {
		ID       string           `json:"id"`
		Cluster  string           `json:"cluster"`
		Metadata *structpb.Struct `json:"metadata,omitempty"` // marshals as plain JSON
	}
)

func (c BootstrapConfig) grpcCredentials() grpcCredentials {
	if c.CAFile == "" {
		return grpcCredentials{Type: "insecure"}
	}

	return grpcCredentials{Type: "tls", Config: &grpcTLS{CA: c.CAFile, Cert: c.CertFile, Key: c.KeyFile, Refresh: "600s"}}
}
