package translate

import (
	"path"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
)

// Files on the proxy's disk are served as secrets that hold their paths, with
// the directory watched: Envoy then takes a renewed certificate when the
// directory's files are replaced by a rename, as Kubernetes does it, and needs
// no restart as in App Mesh.

// certificateSource is where a proxy gets a certificate from; nil where
// neither a file nor sds is named.
func certificateSource(file *schema.FileCertificate, sds *schema.SDSSecret) *tlsv3.SdsSecretConfig {
	switch {
	case file != nil:
		return &tlsv3.SdsSecretConfig{Name: certificateName(file), SdsConfig: fromADS()}
	case sds != nil:
		return &tlsv3.SdsSecretConfig{Name: sds.SecretName, SdsConfig: fromLocalSDS()}
	}
	return nil
}

// trustSource is where a proxy gets the authorities from that it trusts.
func trustSource(t schema.Trust) *tlsv3.SdsSecretConfig {
	switch {
	case t.File != nil:
		return &tlsv3.SdsSecretConfig{Name: trustName(t.File), SdsConfig: fromADS()}
	case t.SDS != nil:
		return &tlsv3.SdsSecretConfig{Name: t.SDS.SecretName, SdsConfig: fromLocalSDS()}
	}
	return nil
}

// fromLocalSDS is the proxy's own SDS server, such as SPIRE's agent, which its
// bootstrap names.
func fromLocalSDS() *corev3.ConfigSource {
	return &corev3.ConfigSource{
		ResourceApiVersion: corev3.ApiVersion_V3,
		ConfigSourceSpecifier: &corev3.ConfigSource_ApiConfigSource{ApiConfigSource: &corev3.ApiConfigSource{
			ApiType:             corev3.ApiConfigSource_GRPC,
			TransportApiVersion: corev3.ApiVersion_V3,
			GrpcServices: []*corev3.GrpcService{{TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{
				EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{ClusterName: localSDSCluster},
			}}},
		}},
	}
}

// addCertificate adds the secret of a certificate on the proxy's disk.
func (b *builder) addCertificate(f *schema.FileCertificate) {
	if f == nil {
		return
	}
	name := certificateName(f)
	b.addDerived(xds.Secret, name, "", func() proto.Message {
		return &tlsv3.Secret{Name: name, Type: &tlsv3.Secret_TlsCertificate{TlsCertificate: &tlsv3.TlsCertificate{
			CertificateChain: file(f.CertificateChain),
			PrivateKey:       file(f.PrivateKey),
			WatchedDirectory: &corev3.WatchedDirectory{Path: path.Dir(f.CertificateChain)},
		}}}
	})
}

// addTrust adds the secret of authorities on the proxy's disk.
func (b *builder) addTrust(t schema.Trust) {
	if t.File == nil {
		return
	}
	name := trustName(t.File)
	b.addDerived(xds.Secret, name, "", func() proto.Message {
		return &tlsv3.Secret{Name: name, Type: &tlsv3.Secret_ValidationContext{ValidationContext: &tlsv3.CertificateValidationContext{
			TrustedCa:        file(t.File.CertificateChain),
			WatchedDirectory: &corev3.WatchedDirectory{Path: path.Dir(t.File.CertificateChain)},
		}}}
	})
}
