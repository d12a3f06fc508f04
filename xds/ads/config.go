package ads

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/meshwright/meshwright/xds"
)

// Config of a [Server]. The zero value of each optional field is a good one.
type Config struct {
	// Address to listen on, HOST:PORT; default 127.0.0.1:18000.
	Address string
	// Listener to serve on instead of Address. Run closes it.
	Listener net.Listener

	// CertFile and KeyFile (PEM) make the server speak TLS. Changed files are
	// taken up by the next handshake.
	CertFile, KeyFile string
	// ClientCAFile (PEM) makes it demand client certificates from this
	// authority. A certificate names an identity by a SPIFFE ID whose path is
	// the identity (spiffe://TRUST/mesh/M/virtualNode/N), without one by a DNS
	// name that equals the identity's name, or by either through Names.
	ClientCAFile string
	// Names maps SPIFFE IDs and DNS names to identities; a name that is in it
	// stands for that identity only.
	Names map[string]xds.Identity
	// TokenFile makes it demand bearer tokens (metadata "authorization: Bearer
	// TOKEN"): one "TOKEN IDENTITY" a line, with * for any identity. With
	// ClientCAFile too, either will do.
	TokenFile string

	// Linger is how long a proxy keeps what it no longer should have after it
	// ACKed what takes its place, for requests that are still under way
	// (retries, fault delays); default 0: only the ACK is waited for.
	Linger time.Duration
	// Drain is how long Run lets changes that are under way end when it is
	// stopped; default 2 s.
	Drain time.Duration
	// MaxStreams of one connection; default 1000. An Envoy has a connection of its
	// own and needs four streams at most (ADS and reports); connections are not
	// limited but by the files that the process may open.
	MaxStreams uint32

	Logger  *slog.Logger          // default: none
	Metrics prometheus.Registerer // default: none
	Now     func() time.Time      // default: time.Now
}

const defaultAddress = "127.0.0.1:18000"

// Validate reports all that is wrong with the configuration: field, value and
// what to set.
func (c Config) Validate() error {
	var errs []error
	address := cmp.Or(c.Address, defaultAddress)
	local := loopback(address)
	if c.Listener != nil {
		tcp, ok := c.Listener.Addr().(*net.TCPAddr)
		address, local = c.Listener.Addr().String(), !ok || tcp.IP.IsLoopback()
	} else if _, _, err := net.SplitHostPort(address); err != nil {
		errs = append(errs, fmt.Errorf("Address: %w; write HOST:PORT", err))
	}
	if (c.CertFile == "") != (c.KeyFile == "") {
		errs = append(errs, errors.New("CertFile and KeyFile: set both or none"))
	}
	if c.ClientCAFile != "" && c.CertFile == "" {
		errs = append(errs, errors.New("ClientCAFile: needs CertFile and KeyFile too"))
	}
	if !local && c.ClientCAFile == "" && c.TokenFile == "" {
		errs = append(errs, fmt.Errorf("Address: %s can be reached from other machines; set CertFile, KeyFile and ClientCAFile (mutual TLS) or TokenFile, or listen on 127.0.0.1", address))
	}
	if c.Linger < 0 || c.Drain < 0 {
		errs = append(errs, errors.New("Linger and Drain: must not be negative"))
	}
	return errors.Join(errs...)
}
