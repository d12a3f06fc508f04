package translate

import (
	"errors"
	"path"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/types/known/anypb"
)

// CertificateSDS is what the SDSFile of a bootstrap holds, in JSON: where the
// proxy's certificate for the daemon is. Envoy watches the folder of a
// certificate that it is told of in such a file, and takes a renewed one when
// it is moved into its place; one that a bootstrap itself names it reads once.
func CertificateSDS(c BootstrapConfig) ([]byte, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if c.CertFile == "" {
		return nil, errors.New("xds sds file: there is no certificate to put into it; name one (xds-cert)")
	}
	return protoIndented(&discoveryv3.DiscoveryResponse{Resources: []*anypb.Any{packed(&tlsv3.Secret{
		Name: xdsCertificate,
		Type: &tlsv3.Secret_TlsCertificate{TlsCertificate: &tlsv3.TlsCertificate{
			CertificateChain: file(c.CertFile),
			PrivateKey:       file(c.KeyFile),
			WatchedDirectory: &corev3.WatchedDirectory{Path: path.Dir(c.CertFile)},
		}},
	})}})
}

// certificateFromSDS is the certificate of such a file.
func certificateFromSDS(file string) *tlsv3.SdsSecretConfig {
	if !strings.Contains(file, "/") {
		file = "./" + file // Envoy refuses a path without a slash
	}
	return &tlsv3.SdsSecretConfig{Name: xdsCertificate, SdsConfig: &corev3.ConfigSource{
		ResourceApiVersion:    corev3.ApiVersion_V3,
		ConfigSourceSpecifier: &corev3.ConfigSource_PathConfigSource{PathConfigSource: &corev3.PathConfigSource{Path: file}},
	}}
}
