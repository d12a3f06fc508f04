package translate_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	echov3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/echo/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshwright/meshwright/fixtures"
	"github.com/meshwright/meshwright/xds/translate"
)

// TestDrainedAgreesWithEnvoy: of two connections to a real Envoy, on a filter
// chain each, a change of the listener ends those that Drained says, once the
// drain time is over, and no other.
func TestDrainedAgreesWithEnvoy(t *testing.T) {
	t.Parallel() // it waits most of the time
	envoy, dir := fixtures.Envoy(t), t.TempDir()
	port := freePort(t)
	l := echoing(t, port, "one", "two")
	serve := func(version int) {
		t.Helper()
		packed, err := anypb.New(l)
		if err != nil {
			t.Fatal(err)
		}
		b, err := protojson.Marshal(&discoveryv3.DiscoveryResponse{VersionInfo: fmt.Sprint(version), Resources: []*anypb.Any{packed}})
		if err != nil {
			t.Fatal(err)
		}
		next := filepath.Join(dir, "next")
		if err := os.WriteFile(next, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(next, filepath.Join(dir, "lds.json")); err != nil {
			t.Fatal(err)
		}
	}
	serve(0)
	bootstrap := fmt.Sprintf(`{"node": {"id": "x", "cluster": "x"}, "dynamic_resources": {"lds_config": {"path_config_source": {"path": %q, "watched_directory": {"path": %q}}}}}`, filepath.Join(dir, "lds.json"), dir)
	cmd := exec.Command(envoy, "-c", bootstrapFile(t, []byte(bootstrap)), "--concurrency", "1", "-l", "error", "--use-dynamic-base-id", "--drain-time-s", "1")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for i, change := range []func(){
		func() { l.FilterChains = append(l.FilterChains, echoing(t, port, "three").FilterChains...) },
		func() { l.FilterChains[0].TransportSocketConnectTimeout = durationpb.New(time.Second) },
		func() { l.FilterChains = l.FilterChains[:1] },
		func() { l.FilterChains = echoing(t, port, "one", "two").FilterChains },
		func() { l.ListenerFiltersTimeout = durationpb.New(time.Second) },
		func() { l.PerConnectionBufferLimitBytes = wrapperspb.UInt32(4096) },
		func() { port = freePort(t); l.Address = echoing(t, port).Address },
	} {
		ends := map[string]net.Conn{"one": dialFrom(t, "127.0.0.1", port)}
		if len(l.FilterChains) > 1 {
			ends["two"] = dialFrom(t, "127.0.0.2", port)
		}
		was := proto.CloneOf(l)
		change()
		serve(i + 1)
		why, err := translate.Drained(resource(t, was), resource(t, l))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second) // the drain time and more
		for chain, conn := range ends {
			names, some := strings.CutPrefix(why, "of its filter chains, ")
			names, _, _ = strings.Cut(names, " changes")
			ended := why != "" && (!some || strings.Contains(names, chain))
			if open := echoes(conn); open == ended {
				t.Errorf("change %d: the connection on chain %s is open: %v; we say %q", i, chain, open, why)
			}
			_ = conn.Close()
		}
	}
}

// echoing is a listener with a filter chain for each name: one takes what comes
// from 127.0.0.1, two from 127.0.0.2, any other from 127.0.0.3.
func echoing(t *testing.T, port uint32, names ...string) *listenerv3.Listener {
	t.Helper()
	echo, err := anypb.New(&echov3.Echo{})
	if err != nil {
		t.Fatal(err)
	}
	l := &listenerv3.Listener{Name: "l", Address: at(port)}
	l.Address.GetSocketAddress().Address = "127.0.0.1"
	for _, name := range names {
		from := map[string]string{"one": "127.0.0.1", "two": "127.0.0.2"}[name]
		if from == "" {
			from = "127.0.0.3"
		}
		l.FilterChains = append(l.FilterChains, &listenerv3.FilterChain{
			Name:             name,
			FilterChainMatch: &listenerv3.FilterChainMatch{SourcePrefixRanges: []*corev3.CidrRange{{AddressPrefix: from, PrefixLen: wrapperspb.UInt32(32)}}},
			Filters:          []*listenerv3.Filter{{Name: "echo", ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: echo}}},
		})
	}
	return l
}

// dialFrom connects from an address of this machine, once the listener answers.
func dialFrom(t *testing.T, from string, port uint32) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		conn, err := d.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil && echoes(conn) {
			return conn
		}
		if conn != nil {
			_ = conn.Close()
		}
		if time.Now().After(deadline) {
			t.Fatalf("no answer to %s: %v", from, err)
		}
	}
}

// echoes reports whether a connection is open.
func echoes(conn net.Conn) bool {
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := conn.Write([]byte("x")); err != nil {
		return false
	}
	_, err := conn.Read(make([]byte, 1))
	return err == nil
}
