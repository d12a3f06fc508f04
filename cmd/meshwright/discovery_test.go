package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/servicediscovery"

	"github.com/meshwright/meshwright/cmd/meshwright/internal/lab"
	"github.com/meshwright/meshwright/fixtures"
)

// TestE2ECloudMap: a client's traffic follows what is registered with AWS
// Cloud Map, and goes on when that, and then the daemon, is gone: the daemon
// that comes after knows what it knew. Endpoints in git win over all. No request fails.
func TestE2ECloudMap(t *testing.T) {
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "eu-central-1", "AWS_EC2_METADATA_DISABLED": "true",
	} {
		t.Setenv(name, value) // as the daemon's machine would have them
	}
	l, ctx := newLab(t), t.Context()
	registry, killRegistry := fixtures.Moto(t)
	cloud := newCloud(t, registry)
	instances := map[string]string{}
	for i, name := range []string{"a", "b", "c"} {
		instances[name] = serveName(t, l, byte(20+i), name)
	}
	cloud.register("a", instances["a"], "v1")
	cloud.register("b", instances["b"], "v2") // which the node does not ask for

	remote, err := l.BareRepo(ctx)
	must(t, err)
	clone, err := l.NewClone(ctx, remote)
	must(t, err)
	commit := func(file, text string) string {
		t.Helper()
		must(t, clone.Write(map[string]string{file: text}))
		hash, err := clone.Commit(ctx, file)
		must(t, err)
		must(t, clone.Push(ctx))
		return hash
	}
	commit("shop.yaml", cloudShop)
	serving := lab.DaemonConfig{Repo: remote, Args: []string{"--poll", "100ms", "--cloudmap-endpoint", registry, "--cloudmap-poll", "50ms"}}
	daemon, err := l.StartDaemon(ctx, serving)
	must(t, err)

	at, admin := l.Net.At(10, 8080), l.Net.At(10, 9901)
	bootstrap, err := l.Bootstrap(ctx, "--proxy", "mesh/shop/virtualNode/client_shop", "--xds-address", daemon.XDS, "--admin-address", admin.String(),
		"--capture", "explicit", "--backend=web.shop="+at.String())
	must(t, err)
	envoy, err := l.StartEnvoy(lab.EnvoyConfig{Name: "client", Bootstrap: bootstrap, Admin: admin})
	must(t, err)
	must(t, envoy.Live(ctx))
	page := lab.NewClient("http://web.shop:8080/", func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, at.String())
	})
	flow := page.Flow(context.WithoutCancel(ctx), 5*time.Millisecond)
	l.OnClose(func() { flow.Stop() })
	answering := func(what, want string) {
		t.Helper()
		must(t, lab.Eventually(ctx, 30*time.Second, what, func() error {
			s := page.Measure(ctx, 40)
			if got := strings.Join(slices.Sorted(maps.Keys(s.Versions)), " "); got != want {
				return fmt.Errorf("%s answer, not %s: %v", got, want, s)
			}
			return nil
		}))
	}

	answering("the attribute filters", "a")
	cloud.register("c", instances["c"], "v1")
	answering("one comes", "a c")
	cloud.deregister("a")
	answering("one goes", "c")

	killRegistry()
	metric(t, daemon, "meshwright_endpoints_source_up 0")
	answering("Cloud Map is away", "c")
	daemon.Stop()
	serving.XDS, serving.HTTP = daemon.XDS, strings.TrimPrefix(daemon.HTTP, "http://")
	daemon, err = l.StartDaemon(ctx, serving)
	must(t, err)
	must(t, lab.Eventually(ctx, 60*time.Second, "the proxy is back", func() error {
		proxies, err := daemon.Proxies(ctx)
		if err == nil && (len(proxies) != 1 || proxies[0].Applied == "") {
			err = fmt.Errorf("%+v", proxies)
		}
		return err
	}))
	answering("a new daemon, and Cloud Map is away", "c")
	if n := daemon.Exited(); n != nil {
		t.Fatal(n)
	}

	hash := commit("endpoints.yaml", "apiVersion: meshwright.dev/v1alpha1\nkind: Endpoints\nmetadata: {name: web, namespace: shop}\n"+
		"spec: {virtualNodeRef: {name: web}, endpoints: [{address: "+instances["b"]+"}]}\n")
	_, err = daemon.Await(ctx, hash, "the endpoints are applied", lab.Commit.Done)
	must(t, err)
	answering("endpoints in git", "b")

	if s := flow.Stop(); s.Failed > 0 {
		t.Errorf("%d of %d requests failed, the first with: %s", s.Failed, s.Requests, s.FirstFailure)
	} else {
		t.Logf("steady traffic all the while: %v", s)
	}
}

const cloudShop = `apiVersion: appmesh.k8s.aws/v1beta2
kind: Mesh
metadata: {name: shop}
spec: {namespaceSelector: {}}
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualNode
metadata: {name: web, namespace: shop}
spec:
  listeners: [{portMapping: {port: 8080, protocol: http}}]
  serviceDiscovery: {awsCloudMap: {namespaceName: local, serviceName: web, attributes: [{key: version, value: v1}]}}
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualService
metadata: {name: web, namespace: shop}
spec: {provider: {virtualNode: {virtualNodeRef: {name: web}}}}
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualNode
metadata: {name: client, namespace: shop}
spec: {backends: [{virtualService: {virtualServiceRef: {name: web}}}]}
`

// serveName answers with a name on a machine of its own, and returns its
// address.
func serveName(t *testing.T, l *lab.Lab, n byte, name string) string {
	t.Helper()
	at, err := net.Listen("tcp4", l.Net.At(n, 8080).String())
	must(t, err)
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, "%s views 1", name) })}
	go func() { _ = s.Serve(at) }()
	l.OnClose(func() { _ = s.Close() })
	return l.Net.Addr(n).String()
}

// metric waits for a line of the daemon's metrics.
func metric(t *testing.T, d *lab.Daemon, line string) {
	t.Helper()
	must(t, lab.Eventually(t.Context(), 30*time.Second, line, func() error {
		resp, err := http.Get(strings.TrimSuffix(d.HTTP, "/") + "/metrics")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err == nil && !strings.Contains(string(body), "\n"+line+"\n") {
			err = fmt.Errorf("the metrics do not say so")
		}
		return err
	}))
}

// cloud is the service web in the namespace local of Cloud Map.
type cloud struct {
	t       *testing.T
	client  *servicediscovery.Client
	service *string
}

func newCloud(t *testing.T, endpoint string) cloud {
	t.Helper()
	ctx := t.Context()
	cfg, err := awsconfig.LoadDefaultConfig(ctx)
	must(t, err)
	c := cloud{t: t, client: servicediscovery.NewFromConfig(cfg, func(o *servicediscovery.Options) { o.BaseEndpoint = &endpoint })}
	namespace, err := c.client.CreateHttpNamespace(ctx, &servicediscovery.CreateHttpNamespaceInput{Name: aws.String("local")})
	must(t, err)
	done, err := c.client.GetOperation(ctx, &servicediscovery.GetOperationInput{OperationId: namespace.OperationId})
	must(t, err)
	service, err := c.client.CreateService(ctx, &servicediscovery.CreateServiceInput{Name: aws.String("web"), NamespaceId: aws.String(done.Operation.Targets["NAMESPACE"])})
	must(t, err)
	c.service = service.Service.Id
	return c
}

func (c cloud) register(id, addr, version string) {
	c.t.Helper()
	_, err := c.client.RegisterInstance(c.t.Context(), &servicediscovery.RegisterInstanceInput{
		ServiceId: c.service, InstanceId: &id, Attributes: map[string]string{"AWS_INSTANCE_IPV4": addr, "AWS_INSTANCE_PORT": "1", "version": version},
	})
	must(c.t, err)
}

func (c cloud) deregister(id string) {
	c.t.Helper()
	_, err := c.client.DeregisterInstance(c.t.Context(), &servicediscovery.DeregisterInstanceInput{ServiceId: c.service, InstanceId: &id})
	must(c.t, err)
}
