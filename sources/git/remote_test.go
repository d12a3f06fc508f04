package git_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/meshwright/meshwright/sources/git"
)

// TestServersErrors: one line that says what to do, whatever page comes with it.
func TestServersErrors(t *testing.T) {
	o := newOrigin(t)
	o.commitAndPush("first", "a.yaml", "a1")
	s := o.serve()
	for status, want := range map[int]string{
		http.StatusUnauthorized: "authentication required: give a token or a key that holds",
		http.StatusForbidden:    "authorization failed: the token or key may not read the repository",
		http.StatusNotFound:     "repository not found: check the URL",
		http.StatusBadGateway:   "status code: 502",
	} {
		s.handler.Store(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			io.WriteString(w, "<html>\n<p>a page\n of the server</html>")
		}))
		_, err := open(t, git.Config{URL: s.repoURL(), Auth: git.Auth{Token: "hunter2"}}).Fetch(t.Context())
		if err == nil || !strings.Contains(err.Error(), want) || strings.ContainsAny(err.Error(), "\n<") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%d: %v; want one line with %q", status, err, want)
		}
	}
}

// newKey writes a private key to a file.
func newKey(t *testing.T) (file string, signer ssh.Signer) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	block, err := ssh.MarshalPrivateKey(private, "")
	must(t, err)
	file = filepath.Join(t.TempDir(), "key")
	must(t, os.WriteFile(file, pem.EncodeToMemory(block), 0o600))
	signer, err = ssh.NewSignerFromKey(private)
	must(t, err)
	return file, signer
}

// serveSSH runs git's upload-pack for whoever shows the key; it returns the
// server's address and a known_hosts file that has its own key.
func serveSSH(t *testing.T, client ssh.PublicKey) (addr, knownHosts string) {
	t.Helper()
	_, hostKey := newKey(t)
	config := &ssh.ServerConfig{PublicKeyCallback: func(c ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if c.User() != "git" || string(key.Marshal()) != string(client.Marshal()) {
			return nil, errors.New("not you")
		}
		return nil, nil
	}}
	config.AddHostKey(hostKey)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go uploadPack(conn, config)
		}
	}()
	knownHosts = filepath.Join(t.TempDir(), "known_hosts")
	line := knownhosts.Line([]string{knownhosts.Normalize(l.Addr().String())}, hostKey.PublicKey())
	must(t, os.WriteFile(knownHosts, []byte(line+"\n"), 0o600))
	return l.Addr().String(), knownHosts
}

func uploadPack(conn net.Conn, config *ssh.ServerConfig) {
	defer conn.Close()
	_, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for c := range channels {
		ch, requests, err := c.Accept()
		if err != nil {
			return
		}
		for r := range requests {
			r.Reply(r.Type == "exec", nil)
			if r.Type != "exec" {
				continue
			}
			cmd := exec.Command("sh", "-c", string(r.Payload[4:])) // a length, then the command
			cmd.Stdout, cmd.Stderr = ch, ch.Stderr()
			in, _ := cmd.StdinPipe() // not Stdin: Wait would wait for the client's end
			go io.Copy(in, ch)
			code := byte(0)
			if cmd.Run() != nil {
				code = 1
			}
			ch.SendRequest("exit-status", false, []byte{0, 0, 0, code})
			ch.Close()
		}
	}
}

func TestSSH(t *testing.T) {
	o := newOrigin(t)
	first := o.commitAndPush("first", "a.yaml", "a1")
	key, signer := newKey(t)
	addr, known := serveSSH(t, signer.PublicKey())
	cfg := func(path string) git.Config {
		return git.Config{URL: "ssh://git@" + addr + path, Auth: git.Auth{SSHKeyFile: key, KnownHostsFile: known}, Timeout: 20 * time.Second}
	}
	r := open(t, cfg(o.bare))
	wantFile(t, mustFetch(t, r), first, "a.yaml", "a1")
	mustFetch(t, r)
	second := o.commitAndPush("second", "a.yaml", "a2")
	wantFile(t, mustFetch(t, r), second, "a.yaml", "a2")

	stranger, _ := newKey(t)
	other, _ := serveSSH(t, signer.PublicKey())
	_, anotherKey := newKey(t)
	changed := filepath.Join(t.TempDir(), "changed")
	must(t, os.WriteFile(changed, []byte(knownhosts.Line([]string{knownhosts.Normalize(addr)}, anotherKey.PublicKey())+"\n"), 0o600))
	for name, test := range map[string]struct {
		change func(*git.Config)
		want   string
	}{
		"another key":      {func(c *git.Config) { c.Auth.SSHKeyFile = stranger }, "add the key there"},
		"unknown host":     {func(c *git.Config) { c.URL = "ssh://git@" + other + o.bare }, "is not in " + known},
		"changed host key": {func(c *git.Config) { c.Auth.KnownHostsFile = changed }, "is not the one in " + changed},
		"no known hosts":   {func(c *git.Config) { c.Auth.KnownHostsFile = "/nowhere/known_hosts" }, "ssh-keyscan"},
		"no key":           {func(c *git.Config) { c.Auth.SSHKeyFile = "/nowhere/key" }, "/nowhere/key"},
		"no repository":    {func(c *git.Config) { c.URL = "ssh://git@" + addr + "/nowhere.git" }, "the server says:"},
	} {
		t.Run(name, func(t *testing.T) {
			c := cfg(o.bare)
			test.change(&c)
			if _, err := open(t, c).Fetch(t.Context()); err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("err = %v; want one line with %q", err, test.want)
			}
		})
	}
	t.Run("silent host", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		defer l.Close()
		c := cfg(o.bare)
		c.URL, c.Timeout = "ssh://git@"+l.Addr().String()+"/x.git", 100*time.Millisecond
		if _, err := open(t, c).Fetch(t.Context()); err == nil || !strings.Contains(err.Error(), "no end after 100ms") {
			t.Errorf("err = %v", err)
		}
	})
}
