package main

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	secretv3 "github.com/envoyproxy/go-control-plane/envoy/service/secret/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"
)

// agent NODE serves what was issued for a node on a socket of its machine, as
// SPIRE's agent does: the secret ROOTCA is its authorities, default its
// certificate.
func agent(_ context.Context, w *mesh, args []string) error {
	if len(args) != 1 || w.built {
		return errors.New("usage, before anything else: agent NODE")
	}
	dir := filepath.Join(w.lab.Dir, args[0]+".d")
	socket := filepath.Join(dir, "sds.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	secretv3.RegisterSecretDiscoveryServiceServer(server, localSDS{dir: dir})
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	w.lab.OnClose(func() { server.Stop(); <-served })
	w.agents[args[0]] = socket
	return nil
}

// localSDS serves the files of a folder.
type localSDS struct {
	secretv3.UnimplementedSecretDiscoveryServiceServer
	dir string
}

// StreamSecrets answers what is asked for by other names than before.
func (s localSDS) StreamSecrets(stream secretv3.SecretDiscoveryService_StreamSecretsServer) error {
	var sent []string
	for {
		req, err := stream.Recv()
		if err != nil {
			return err
		}
		if slices.Equal(req.ResourceNames, sent) && req.ErrorDetail == nil { // an ACK
			continue
		}
		sent = req.ResourceNames
		resp := &discoveryv3.DiscoveryResponse{VersionInfo: "1", Nonce: "1", TypeUrl: req.TypeUrl}
		for _, name := range sent {
			secret, err := s.secret(name)
			if err != nil {
				return status.Error(codes.NotFound, err.Error())
			}
			packed, err := anypb.New(secret)
			if err != nil {
				return err
			}
			resp.Resources = append(resp.Resources, packed)
		}
		if err := stream.Send(resp); err != nil {
			return err
		}
	}
}

func (s localSDS) secret(name string) (*tlsv3.Secret, error) {
	var err error
	inline := func(file string) *corev3.DataSource {
		text, readErr := os.ReadFile(filepath.Join(s.dir, file))
		err = errors.Join(err, readErr)
		return &corev3.DataSource{Specifier: &corev3.DataSource_InlineBytes{InlineBytes: text}}
	}
	secret := &tlsv3.Secret{Name: name}
	switch name {
	case "default":
		secret.Type = &tlsv3.Secret_TlsCertificate{TlsCertificate: &tlsv3.TlsCertificate{CertificateChain: inline("chain.pem"), PrivateKey: inline("key.pem")}}
	case "ROOTCA":
		secret.Type = &tlsv3.Secret_ValidationContext{ValidationContext: &tlsv3.CertificateValidationContext{TrustedCa: inline("ca.pem")}}
	default:
		return nil, errors.New("no secret " + name)
	}
	return secret, err
}
