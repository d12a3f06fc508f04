package endpoints_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/servicediscovery"

	"github.com/meshwright/meshwright/fixtures"
	"github.com/meshwright/meshwright/sources/endpoints"
)

// TestMoto asks a server that we did not write, with AWS's SDK and its own way
// to credentials: instances come and go, attributes filter, and what was there
// when the server dies stays.
func TestMoto(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	endpoint, kill := fixtures.Moto(t)
	cloud := newCloud(t, endpoint)
	cloud.register("a", map[string]string{"AWS_INSTANCE_IPV4": "10.0.0.1", "AWS_INSTANCE_PORT": "9999", "version": "v1"})
	cloud.register("b", map[string]string{"AWS_INSTANCE_IPV4": "10.0.0.2", "version": "v2"})
	cloud.register("c", map[string]string{"AWS_INSTANCE_CNAME": "web.example.com", "version": "v1"})

	w, err := endpoints.New(endpoints.Config{Registry: &endpoints.CloudMap{Endpoint: endpoint, Region: "eu-central-1"}, Interval: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = w.Run(t.Context()) }()
	w.Serve(spec(t, "web", "web version=v1", "web version=v3"))
	eventually := func(want string) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); known(w) != want; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("known is %q, want %q", known(w), want)
			}
		}
	}
	eventually("web 10.0.0.1 10.0.0.2; web version=v1 10.0.0.1; web version=v3")
	cloud.register("d", map[string]string{"AWS_INSTANCE_IPV4": "10.0.0.4", "version": "v3"})
	eventually("web 10.0.0.1 10.0.0.2 10.0.0.4; web version=v1 10.0.0.1; web version=v3 10.0.0.4")
	cloud.deregister("a")
	eventually("web 10.0.0.2 10.0.0.4; web version=v1; web version=v3 10.0.0.4")
	kill()
	time.Sleep(200 * time.Millisecond)
	eventually("web 10.0.0.2 10.0.0.4; web version=v1; web version=v3 10.0.0.4")
}

// cloud is a service web in the namespace local.
type cloud struct {
	t       *testing.T
	client  *servicediscovery.Client
	service *string
}

func newCloud(t *testing.T, endpoint string) cloud {
	t.Helper()
	cfg, err := config.LoadDefaultConfig(t.Context(), config.WithRegion("eu-central-1"))
	if err != nil {
		t.Fatal(err)
	}
	c := cloud{t: t, client: servicediscovery.NewFromConfig(cfg, func(o *servicediscovery.Options) { o.BaseEndpoint = &endpoint })}
	made, err := c.client.CreateHttpNamespace(t.Context(), &servicediscovery.CreateHttpNamespaceInput{Name: aws.String("local")})
	if err != nil {
		t.Fatal(err)
	}
	done, err := c.client.GetOperation(t.Context(), &servicediscovery.GetOperationInput{OperationId: made.OperationId})
	if err != nil {
		t.Fatal(err)
	}
	service, err := c.client.CreateService(t.Context(), &servicediscovery.CreateServiceInput{
		Name: aws.String("web"), NamespaceId: aws.String(done.Operation.Targets["NAMESPACE"]),
	})
	if err != nil {
		t.Fatal(err)
	}
	c.service = service.Service.Id
	return c
}

func (c cloud) register(id string, attributes map[string]string) {
	c.t.Helper()
	if _, err := c.client.RegisterInstance(c.t.Context(), &servicediscovery.RegisterInstanceInput{ServiceId: c.service, InstanceId: &id, Attributes: attributes}); err != nil {
		c.t.Fatal(err)
	}
}

func (c cloud) deregister(id string) {
	c.t.Helper()
	if _, err := c.client.DeregisterInstance(c.t.Context(), &servicediscovery.DeregisterInstanceInput{ServiceId: c.service, InstanceId: &id}); err != nil {
		c.t.Fatal(err)
	}
}
