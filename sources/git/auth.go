package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/meshwright/meshwright/sources"
)

// Auth is how to log in at the remote. The zero Auth is anonymous over HTTP
// and the ssh agent over SSH.
type Auth struct {
	// Token is sent as the password of HTTP basic authentication; GitHub and
	// Gitea take it with any user name.
	Token sources.Secret
	// TokenFile holds the token instead. It is read anew for each fetch, so
	// that a token can be rotated under a running daemon.
	TokenFile string
	// TokenFunc gives the token instead, anew for each fetch.
	TokenFunc func(context.Context) (sources.Secret, error)
	// Username: over HTTP by default "x-access-token", over SSH "git".
	Username string
	// Password of HTTP basic authentication or of the SSH user.
	Password sources.Secret
	// SSHKeyFile is a private key in PEM or OpenSSH form.
	SSHKeyFile string
	// SSHPassphrase opens the key, when it is encrypted.
	SSHPassphrase sources.Secret
	// KnownHostsFile has the host keys that are trusted; by default
	// ~/.ssh/known_hosts. Unknown hosts are refused.
	KnownHostsFile string
}

// endpoint is where a repository is, with the credentials taken out of the
// URL, so that no error or log can print them.
type endpoint struct {
	*transport.Endpoint
	name string // what people may see
}

// parseURL reads a URL or a path, and gives auth the credentials of the URL
// where it has none of its own.
func parseURL(raw string, auth *Auth) (endpoint, error) {
	if raw == "" {
		return endpoint{}, errors.New("the repository's URL is empty; give a path, https://… or ssh://…")
	}
	if !strings.Contains(raw, "://") {
		if _, err := os.Stat(raw); err == nil || !strings.Contains(raw, ":") {
			path, err := filepath.Abs(raw)
			if err != nil {
				return endpoint{}, err
			}
			return endpoint{&transport.Endpoint{Protocol: "file", Path: path}, path}, nil
		}
	}
	ep, err := transport.NewEndpoint(raw)
	if err != nil {
		// The parser's error quotes the URL with all that is in it.
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err
		}
		return endpoint{}, fmt.Errorf("the repository's URL is malformed: %w", err)
	}
	if ep.Password != "" && auth.Password == "" {
		auth.Password = sources.Secret(ep.Password)
	}
	if ep.User != "" && auth.Username == "" {
		auth.Username = ep.User
	}
	ep.User, ep.Password = "", ""
	switch ep.Protocol {
	case "http", "https", "ssh":
		return endpoint{ep, ep.String()}, nil
	case "file":
		return endpoint{ep, ep.Path}, nil
	}
	return endpoint{}, fmt.Errorf("repository %s: %s is not supported; use a path, https:// or ssh://", ep, ep.Protocol)
}

// http returns what to send with HTTP requests; nil is nothing.
func (a Auth) http(ctx context.Context) (githttp.AuthMethod, error) {
	user, password := a.Username, a.Password
	switch {
	case a.TokenFile != "":
		data, err := os.ReadFile(a.TokenFile)
		if err != nil {
			return nil, fmt.Errorf("read token: %w", err)
		}
		if password = sources.Secret(strings.TrimSpace(string(data))); password == "" {
			return nil, fmt.Errorf("read token: %s is empty", a.TokenFile)
		}
	case a.Token != "":
		password = a.Token
	case a.TokenFunc != nil:
		token, err := a.TokenFunc(ctx)
		if err != nil {
			return nil, err
		}
		password = token
	}
	if user == "" && password == "" {
		return nil, nil
	}
	if user == "" {
		user = "x-access-token"
	}
	return &githttp.BasicAuth{Username: user, Password: string(password)}, nil
}

// ssh returns how to log in at host ("name:port") and which keys it may show.
// done is to be closed when the connection has ended.
func (a Auth) ssh(host string) (_ *ssh.ClientConfig, done io.Closer, err error) {
	done = io.NopCloser(nil)
	config := &ssh.ClientConfig{User: a.Username}
	if config.User == "" {
		config.User = "git"
	}
	switch {
	case a.SSHKeyFile != "":
		signer, err := readKey(a.SSHKeyFile, a.SSHPassphrase)
		if err != nil {
			return nil, nil, err
		}
		config.Auth = []ssh.AuthMethod{ssh.PublicKeys(signer)}
	case a.Password != "":
		config.Auth = []ssh.AuthMethod{ssh.Password(string(a.Password))}
	case os.Getenv("SSH_AUTH_SOCK") != "":
		keys, conn, err := dialAgent()
		if err != nil {
			return nil, nil, err
		}
		done = conn
		config.Auth = []ssh.AuthMethod{ssh.PublicKeysCallback(keys.Signers)}
	default:
		return nil, nil, errors.New("no ssh key: name a private key file, or run an ssh agent")
	}
	file := a.KnownHostsFile
	if file == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return nil, nil, fmt.Errorf("known hosts: %w", err)
		}
		file = filepath.Join(home, ".ssh", "known_hosts")
	}
	db, err := knownhosts.NewDB(file)
	if err != nil {
		done.Close()
		return nil, nil, fmt.Errorf("known hosts: %w; write one with: ssh-keyscan HOST > FILE, and compare its keys with the host's", err)
	}
	config.HostKeyCallback = func(hostname string, remote net.Addr, key ssh.PublicKey) error {
		err := db.HostKeyCallback()(hostname, remote, key)
		switch {
		case knownhosts.IsHostUnknown(err):
			return fmt.Errorf("host %s is not in %s; its key is %s", hostname, file, ssh.FingerprintSHA256(key))
		case knownhosts.IsHostKeyChanged(err):
			return fmt.Errorf("the key of host %s is not the one in %s; it is %s", hostname, file, ssh.FingerprintSHA256(key))
		}
		return err
	}
	config.HostKeyAlgorithms = db.HostKeyAlgorithms(host)
	return config, done, nil
}

func readKey(file string, passphrase sources.Secret) (ssh.Signer, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read ssh key: %w", err)
	}
	signer, err := ssh.ParsePrivateKey(pem)
	var missing *ssh.PassphraseMissingError
	if errors.As(err, &missing) && passphrase != "" {
		signer, err = ssh.ParsePrivateKeyWithPassphrase(pem, []byte(passphrase))
	}
	if err != nil {
		return nil, fmt.Errorf("read ssh key %s: %w", file, err)
	}
	return signer, nil
}

// dialAgent connects to the ssh agent, whose keys are used as long as the
// connection stands.
func dialAgent() (agent.ExtendedAgent, io.Closer, error) {
	conn, err := net.Dial("unix", os.Getenv("SSH_AUTH_SOCK"))
	if err != nil {
		return nil, nil, fmt.Errorf("ssh agent: %w", err)
	}
	return agent.NewClient(conn), conn, nil
}
