package translate

import (
	"path"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/xds"
)

// A certificate is on the proxy's disk, at its own SDS server, or here.
//
// Files on the proxy's disk are served as secrets that hold their paths, with
// the directory watched: Envoy then takes a renewed certificate when the
// directory's files are replaced by a rename, as Kubernetes does it, and needs
// no restart as in App Mesh.

// secretSource is where a proxy gets a secret from.
type secretSource struct {
	name  string // of the secret
	local bool   // from the proxy's own SDS server, not from this control plane
}

// nowhere is the source of what cannot be had.
var nowhere secretSource

func (s secretSource) config() *tlsv3.SdsSecretConfig {
	if s.local {
		return &tlsv3.SdsSecretConfig{Name: s.name, SdsConfig: fromLocalSDS()}
	}
	return &tlsv3.SdsSecretConfig{Name: s.name, SdsConfig: fromADS()}
}

// certificate finds the source of a certificate of the proxy's own, and adds
// what this control plane serves of it.
func (b *builder) certificate(acm *schema.ACMCertificate, file *schema.FileCertificate, sds *schema.SDSSecret) secretSource {
	switch {
	case file != nil:
		return b.fileCertificate(file)
	case acm != nil:
		return b.ownCertificate(xds.ARN(acm.CertificateARN))
	case sds != nil && b.Certificates.Rules().Certificate(xds.SDS(sds.SecretName)) != nil:
		return b.ownCertificate(xds.SDS(sds.SecretName))
	case sds != nil:
		return secretSource{sds.SecretName, true}
	}
	return nowhere
}

// trust finds the source of the authorities that the proxy trusts, and adds
// what this control plane serves of it.
func (b *builder) trust(t schema.Trust) secretSource {
	switch {
	case t.File != nil:
		return b.fileTrust(t.File)
	case t.ACM != nil:
		var names []xds.SecretName
		for _, arn := range t.ACM.CertificateAuthorityARNs {
			names = append(names, xds.ARN(arn))
		}
		return b.ownTrust(names...)
	case t.SDS != nil && b.Certificates.Rules().Trust(xds.SDS(t.SDS.SecretName)) != nil:
		return b.ownTrust(xds.SDS(t.SDS.SecretName))
	case t.SDS != nil:
		return secretSource{t.SDS.SecretName, true}
	}
	return nowhere
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

// fileCertificate adds the secret of a certificate on the proxy's disk.
func (b *builder) fileCertificate(f *schema.FileCertificate) secretSource {
	name := certificateName(f)
	b.addDerived(xds.Secret, name, "", func() proto.Message {
		return &tlsv3.Secret{Name: name, Type: &tlsv3.Secret_TlsCertificate{TlsCertificate: &tlsv3.TlsCertificate{
			CertificateChain: file(f.CertificateChain),
			PrivateKey:       file(f.PrivateKey),
			WatchedDirectory: &corev3.WatchedDirectory{Path: path.Dir(f.CertificateChain)},
		}}}
	})
	return secretSource{name: name}
}

// fileTrust adds the secret of authorities on the proxy's disk.
func (b *builder) fileTrust(f *schema.FileTrust) secretSource {
	name := trustName(f)
	b.addDerived(xds.Secret, name, "", func() proto.Message {
		return &tlsv3.Secret{Name: name, Type: &tlsv3.Secret_ValidationContext{ValidationContext: &tlsv3.CertificateValidationContext{
			TrustedCa:        file(f.CertificateChain),
			WatchedDirectory: &corev3.WatchedDirectory{Path: path.Dir(f.CertificateChain)},
		}}}
	})
	return secretSource{name: name}
}
